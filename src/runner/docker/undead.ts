import { DownError } from '../cause.ts'

/** A container that neither stops nor dies. */
export class UndeadError extends DownError {
  override readonly name = 'UndeadError'

  constructor(container: string, cause: unknown) {
    super(
      'undead',
      `Container ${container} was told to stop, and killed, and runs on; its host may have to be started anew`,
      { cause },
    )
  }
}
