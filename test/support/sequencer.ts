import { BaseSequencer, type TestSpecification } from 'vitest/node';

const slowSuites = ['test/pack/', 'test/bus/', 'test/contract/'];
const rank = ({ moduleId }: TestSpecification): number => {
  const at = slowSuites.findIndex((suite) => moduleId.includes(`/${suite}`));
  return at < 0 ? slowSuites.length : at;
};

/** Files that wait for processes start first, and the short files of the unit suite fill the time at the end. */
export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
