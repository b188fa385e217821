import * as v from 'valibot'
import { ContainerId } from '../../protocol/container.ts'
import { httpUrl } from '../config/fields.ts'

/** What a configuration is begun with. `container` is null when there is to be none yet. */
export type Answers = { edge: string; name: string; container: { id: string; place: string } | null }

export const Edge = httpUrl
export const Name = v.pipe(v.string(), v.trim(), v.minLength(1, 'must not be empty'))

/** `ID=IMAGE`, or `ID=URL` of one that runs elsewhere; nothing is no container. */
export const ContainerText = v.pipe(
  v.string(),
  v.trim(),
  v.check(
    text => text === '' || (/^[^=]+=./.test(text) && v.is(ContainerId, idOf(text))),
    'must be ID=IMAGE or ID=URL, the id of 1-128 of A-Z a-z 0-9 _ . -',
  ),
  v.transform(text => (text === '' ? null : { id: idOf(text), place: text.slice(idOf(text).length + 1) })),
)

function idOf(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf('=')))
}

export type Ask = (question: string) => Promise<string>

export type Question<T extends v.GenericSchema<string, unknown>> = {
  text: string
  /** Taken when nothing is typed. */
  usual: string
  schema: T
}

/** Asks until the answer can be used; says what is wrong with one that cannot. */
export async function untilUsable<T extends v.GenericSchema<string, unknown>>(
  ask: Ask,
  { text, usual, schema }: Question<T>,
): Promise<v.InferOutput<T>> {
  for (let prefix = ''; ; ) {
    const typed = (await ask(`${prefix}${text}${usual === '' ? '' : ` [${usual}]`}: `)).trim()
    const parsed = v.safeParse(schema, typed === '' ? usual : typed)
    if (parsed.success) return parsed.output
    prefix = `It ${parsed.issues[0].message}.\n`
  }
}
