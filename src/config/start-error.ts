/**
 * Why weft cannot start: a plain sentence and what to do about it.
 * Thrown before serving, by config, target and whatever target opens; shown by cli, which exits 1.
 */

/** `remedy` is a sentence or two; '' where there is nothing to advise. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly remedy: string

  constructor(sentence: string, remedy = '') {
    super(sentence)
    this.remedy = remedy
  }
}
