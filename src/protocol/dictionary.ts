import * as v from 'valibot'

/** Names that valibot's `record` passes over without a word. */
const passedOver = ['__proto__', 'constructor', 'prototype']

/**
 * A record whose names may be any that the schema of its keys allows: containers and labels may be called `constructor`. An array is none,
 * though valibot's `record` takes one for an object without entries.
 */
export function dictionary<
  const Key extends v.GenericSchema<string, string>,
  const Value extends v.GenericSchema,
  const Message extends v.ErrorMessage<v.RecordIssue> | undefined = undefined,
>(key: Key, value: Value, message?: Message): v.RecordSchema<Key, Value, Message | undefined> {
  const record = v.record(key, value, message)
  return {
    ...record,
    '~run'(dataset, config) {
      const input = dataset.value
      // As `record` refuses what is no object at all.
      if (Array.isArray(input)) return record['~run']({ value: 'an array' }, config)
      const output = record['~run'](dataset, config)
      if (typeof input !== 'object' || input === null) return output
      const issues: v.BaseIssue<unknown>[] = []
      for (const name of passedOver.filter(each => Object.hasOwn(input, each))) {
        const entry: unknown = Reflect.get(input, name)
        const [judgedKey, judged] = [v.safeParse(key, name, config), v.safeParse(value, entry, config)]
        const at: v.ObjectPathItem = {
          type: 'object',
          origin: 'value',
          input: { ...input },
          key: name,
          value: entry,
        }
        for (const issue of [judgedKey, judged].flatMap(each => each.issues ?? []))
          issues.push({ ...issue, path: [at, ...(issue.path ?? [])] })
        // Not assigned, which would set a prototype.
        const property = { value: judged.output, enumerable: true, writable: true, configurable: true }
        if (judgedKey.success && judged.success) Object.defineProperty(output.value, name, property)
      }
      if (issues.length === 0) return output
      const all = [...(output.issues ?? []), ...issues]
      return { typed: false, value: output.value, issues: all } as unknown as typeof output
    },
  }
}
