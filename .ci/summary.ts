// Prints each failure of a run, and one line with the tests of all suites. The exit status is 1 if anything failed or a report is missing.
//   summary.ts FOLDER REPORTS [SUITE...]    FOLDER has the reports of vitest; REPORTS are the beginnings of the names of required ones;
//                                           each SUITE has failed
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

const [folder = '', required = '', ...failedSuites] = process.argv.slice(2);
const expected = required.split(' ').filter((name) => name !== '');
/** Characters printed of one failure. */
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
    // for example, the file could not be loaded, or a hook failed after its tests
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
for (const failure of [...failures, ...failedSuites.map((suite) => `the suite ${suite}`)])
  console.log(`failed: ${failure.trimEnd()}`);
// a failed suite counts by its failed tests, or as one failure
const failed = failures.length || failedSuites.length;
console.log(`${counts.passed} passed, ${failed} failed${counts.skipped ? `, ${counts.skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
