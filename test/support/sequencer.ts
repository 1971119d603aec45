import { BaseSequencer, type TestSpecification } from 'vitest/node';

const lanes = ['test/pack/', 'test/bus/', 'test/contract/'];
const rank = ({ moduleId }: TestSpecification): number => {
  const at = lanes.findIndex((lane) => moduleId.includes(`/${lane}`));
  return at < 0 ? lanes.length : at;
};

/** Files that wait for processes begin first, and the brief ones of the unit lane fill what is left at the end. */
export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
