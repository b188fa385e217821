import * as v from 'valibot'
import { dictionary } from '../../protocol/dictionary.ts'
import { Labels } from '../../protocol/labels.ts'

const one = v.union([v.string(), v.number()])
const isLabel = (name: string, values: unknown) => v.is(Labels, { [name]: values })

/** `labels` of the configuration: a value, or a list of values, for each. */
export const ConfiguredLabels = v.pipe(
  dictionary(
    v.string(),
    v.pipe(
      v.union([v.array(one), one], 'must be text, a whole number, or a list of these'),
      v.transform(values => (Array.isArray(values) ? values : [values])),
    ),
    'must be an object in braces',
  ),
  v.check(
    labels => Object.entries(labels).every(([name, values]) => isLabel(name, values)),
    'must be names of a-z 0-9 _ . - with text of at most 128 characters or whole numbers from 0',
  ),
  // What is found on the host has room beside it.
  v.check(
    labels => Object.keys(labels).length <= 28 && JSON.stringify(labels).length <= 7 * 1024,
    'must be at most 28, of 7 Ki characters together',
  ),
)
