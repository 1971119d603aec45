/** The error of a command: its message on stderr and its exit status (1 refused, 2 wrong usage, 255 as -1). */
export class Refusal extends Error {
  readonly exit: number;

  constructor(message: string, exit = 1) {
    super(message);
    this.exit = exit;
  }
}

/** Wrong usage: exit status 2, with the usage line of the command. */
export function usage(message: string, synopsis: string): Refusal {
  const head = message === '' ? '' : `${message}\n`;
  return new Refusal(`${head}usage:\n\t${synopsis}`, 2);
}
