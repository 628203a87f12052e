// Header lines on their way to the Wasm side and back.

/** As one text: a name, a newline, a value, a newline. Neither can hold one. */
export function flatten(headers: Headers): string {
  let flat = "";
  headers.forEach((value, name) => {
    flat += `${name}\n${value}\n`;
  });
  return flat;
}

/** A name may stand twice. */
export function unflatten(lines: [name: string, value: string][]): Headers {
  const headers = new Headers();
  for (const [name, value] of lines) headers.append(name, value);
  return headers;
}
