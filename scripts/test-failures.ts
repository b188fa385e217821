import { relative } from 'node:path'
import type { SerializedError, TestModule } from 'vitest/node'

/** What begins each line, so that a script finds them again among all that tests print. */
const mark = 'FAILED'
/** A difference of two objects goes on for pages, and is told where the test failed. */
const maxMessage = 300

/**
 * A line for each test that failed, each file that did not load, and each error outside of any: host, file, test and the beginning of its
 * message. The end of a long log is what is read first, and often all that is kept.
 */
export function failuresOf(
  modules: readonly TestModule[],
  errors: readonly SerializedError[],
  root: string,
): string[] {
  const failures = modules.flatMap(module => {
    const place = `[${module.project.name}] ${relative(root, module.moduleId)}`
    const broken = hookErrorsOf(module).map(({ name, error }) => line(`${place}${name}`, error))
    const failed = [...module.children.allTests('failed')].map(test =>
      line(`${place} > ${test.fullName}`, test.result().errors?.[0]),
    )
    return [...broken, ...failed]
  })
  return [...failures, ...errors.map(error => line('outside any test', error))]
}

/** What failed outside the tests themselves, and left those in it unrun: a file as it loaded, or what prepares or cleans up for a group. */
export function hookErrorsOf(module: TestModule): { name: string; error: SerializedError }[] {
  const groups = [...module.children.allSuites()].flatMap(group =>
    group.errors().map(error => ({ name: ` > ${group.fullName}`, error })),
  )
  return [...module.errors().map(error => ({ name: '', error })), ...groups]
}

function line(place: string, error: Pick<SerializedError, 'message'> | undefined): string {
  const message = (error?.message ?? '').replaceAll(/\s+/g, ' ').trim()
  return `${mark} ${place}: ${message.length > maxMessage ? `${message.slice(0, maxMessage)}…` : message}`
}
