// Header lines as one text: a name, a newline, a value, a newline. Neither can hold one.

export function flatten(headers: Headers): string {
  let flat = "";
  headers.forEach((value, name) => {
    flat += `${name}\n${value}\n`;
  });
  return flat;
}
