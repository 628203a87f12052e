// Judges the stand-in for RunPod and AWS by what others know of them: AWS's own client and its models, and RunPod's
// OpenAPI document where TIDEGATE_SPECS names the folder that has it.
//
//   node tests/oracles/simcloud/run.mjs            all of it
//   node tests/oracles/simcloud/run.mjs ec2_test   one file
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { python } from "../../../scripts/install.mjs";
import { program, run, say } from "../../../scripts/processes.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const FILES = ["ec2_test", "runpod_test"];

await program(async () => {
  const chosen = process.argv.length > 2 ? process.argv.slice(2) : FILES;
  await run("cargo build", "cargo", ["build", "--quiet", "--package", "tidegate-simcloud"]);
  const interpreter = await python(join(HERE, "requirements.txt"));
  if (process.env.TIDEGATE_SPECS === undefined) say("TIDEGATE_SPECS is not set: answers of RunPod's are not held to its OpenAPI document");
  await run("tests/oracles/simcloud", interpreter, ["-m", "unittest", "--verbose", ...chosen], { cwd: HERE, env: { PYTHONDONTWRITEBYTECODE: "1" } });
});
