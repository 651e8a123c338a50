// Reads AsyncAPI documents, each named on the command line, and prints what the parser has to say of them as JSON:
// a list for each document, of {severity, code, message, path}. Severity 0 is an error, 1 a warning, 2 a hint.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, ...files] = process.argv.slice(2);
const { Parser } = createRequire(join(modules, "/"))("@asyncapi/parser");
const parser = new Parser();

const said = [];
for (const file of files) {
  const diagnostics = await parser.validate(await readFile(file, "utf8"));
  said.push(diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join("/") })));
}
console.log(JSON.stringify(said));
