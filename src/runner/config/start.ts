import { isImage } from '../docker/reference.ts'
import { isClosed } from '../docker/words.ts'
import { type Problem, pathOf } from './problem.ts'

type Loose = Record<string, unknown>
type Wrong = { keys: (string | number)[]; what: string; fix: string }

/** What Docker would refuse when the container is made, or take for something else than is meant. What it says is told in the log alone. */
export function startProblems(containers: readonly Loose[], managed: boolean): Problem[] {
  return containers.flatMap((container, index) =>
    managed && !container.url
      ? [
          ...imageWrongs(container),
          ...commandWrongs(container),
          ...envWrongs(container),
          ...volumeWrongs(container),
        ].map(({ keys, what, fix }) => ({ path: pathOf(['containers', index, ...keys]), what, fix }))
      : [],
  )
}

function imageWrongs({ image }: Loose): Wrong[] {
  if (typeof image !== 'string' || image === '' || isImage(image)) return []
  const fix =
    'write it as for `docker pull`, such as "org/model:1.0" or "registry.example.com:5000/org/model@sha256:..."'
  return [{ keys: ['image'], what: 'is no name of an image', fix }]
}

function commandWrongs({ command }: Loose): Wrong[] {
  if (typeof command !== 'string' || isClosed(command)) return []
  const what = 'has a quote that is not closed, or ends in a backslash'
  return [
    { keys: ['command'], what, fix: 'close it, or write a backslash before a quote that is meant as one' },
  ]
}

function envWrongs({ env }: Loose): Wrong[] {
  return Object.keys(asObject(env))
    .filter(name => name === '' || /[=\0]/.test(name))
    .map(name => ({
      keys: ['env', name],
      what: 'is no name of an environment variable',
      fix: 'name it without "=", as in {"NAME": "value"}',
    }))
}

function volumeWrongs({ volumes }: Loose): Wrong[] {
  return (Array.isArray(volumes) ? volumes : []).flatMap((bind: unknown, at) =>
    typeof bind !== 'string' || isBind(bind)
      ? []
      : [
          {
            keys: ['volumes', at],
            what: 'is no bind of Docker',
            fix: 'write "/on/the/host:/inside" or "name:/inside", with ":ro" after it where it is not to be written, or "/inside" alone',
          },
        ],
  )
}

/** `SOURCE:TARGET[:OPTIONS]`, or a target alone. Engines differ in the options that they know; that there are none is fine with each. */
function isBind(bind: string): boolean {
  const parts = bind.split(':')
  const [source = '', target = source] = parts
  return (
    parts.length <= 3 &&
    /^\/+[^/]/.test(target) &&
    (source.startsWith('/') || /^[A-Za-z0-9][\w.-]+$/.test(source))
  )
}

function asObject(value: unknown): Loose {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
