// What failed in a run, and a line that adds up the tests of all lanes. Exit status 1 when anything did, or has no report.
//   sum.ts FOLDER [LANE...]    the reports of vitest in FOLDER; the lanes that have failed
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const reportSchema = z.object({
  numPassedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number().default(0),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

const [folder = '', ...lanes] = process.argv.slice(2);
/** How the names of those begin that have to be there. */
const expected = ['test.json', 'zfs-contract-', 'zfs-services-'];
/** Characters of what a test failed with. */
const most = 2000;

const failures: string[] = [];
const counts = { passed: 0, skipped: 0 };

function add(name: string): void {
  const report = reportSchema.parse(JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')));
  counts.passed += report.numPassedTests;
  counts.skipped += report.numPendingTests + report.numTodoTests;
  for (const file of report.testResults) {
    const tests = file.assertionResults.filter(({ status }) => status === 'failed');
    for (const test of tests)
      failures.push(`${test.fullName}\n${(test.failureMessages ?? []).join('\n').slice(0, most)}`);
    // it could not be loaded, say, or what was to be done after its tests failed
    if (file.status === 'failed' && tests.length === 0) failures.push(`${file.name}\n${file.message.slice(0, most)}`);
  }
}

const reports = readdirSync(folder).filter((name) => name.endsWith('.json'));
for (const name of reports) {
  try {
    add(name);
  } catch (error) {
    failures.push(
      `the report ${name} cannot be read: ${error instanceof Error ? error.message.slice(0, most) : error}`,
    );
  }
}
for (const begin of expected)
  if (!reports.some((name) => name.startsWith(begin))) failures.push(`there is no report ${begin}*`);
for (const failure of [...failures, ...lanes.map((lane) => `the lane ${lane}`)])
  console.log(`failed: ${failure.trimEnd()}`);
// a lane that failed has tests that did, or is one failure itself
const failed = failures.length || lanes.length;
console.log(`${counts.passed} passed, ${failed} failed${counts.skipped ? `, ${counts.skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
