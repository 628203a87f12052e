// Holds the AWS codec against what others know of EC2: botocore's signer and service model, and moto.
//
//   node tests/oracles/aws/run.mjs        everything
//   node tests/oracles/aws/run.mjs moto   tests whose names hold this word
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { python } from "../../../scripts/install.mjs";
import { program, run } from "../../../scripts/processes.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));

await program(async () => {
  const words = process.argv.slice(2).flatMap((word) => ["-k", word]);
  await run("cargo build", "cargo", ["build", "--quiet", "--package", "tidegate-provider-aws", "--examples"]);
  const interpreter = await python(join(HERE, "requirements.txt"));
  await run("tests/oracles/aws", interpreter, ["-m", "unittest", "discover", "--verbose", "--pattern", "*_test.py", ...words], { cwd: HERE, env: { PYTHONDONTWRITEBYTECODE: "1" } });
});
