import { randomUUID } from 'node:crypto'
import { type Dispatcher, request } from 'undici'
import { limits } from '../../protocol/limits.ts'
import type { Config } from '../config/config.ts'
import { createEdge } from '../edge/connect.ts'
import { EdgeError } from '../edge/error.ts'
import type { RunnerKey } from '../key/key.ts'
import { createSigner } from '../key/signer.ts'
import { messageOf } from '../trouble.ts'
import { type Check, type Finding, ill, well } from './check.ts'

type EdgeOptions = { config: Pick<Config, 'edge'>; now?: () => number }

const timeoutMs = 10_000

/** That somebody answers there, and as an edge does. */
export function edgeCheck({ config: { edge } }: EdgeOptions): Check {
  return {
    name: 'edge',
    async run() {
      const answer = await health(edge.url).catch((error: unknown) => messageOf(error))
      if (typeof answer === 'string')
        return ill(
          `No answer from ${edge.url}: ${answer}`,
          'correct `edge.url`, or see whether the edge runs',
        )
      const { statusCode } = answer
      if (statusCode === 200) return well(`${edge.url} answers`)
      return ill(
        `${edge.url}/health answers ${statusCode}`,
        'correct edge.url: it is the address of an edge, with the path that it is under',
      )
    },
  }
}

/** That this host's clock agrees with the edge's: tokens are good for a minute. */
export function clockCheck({ config: { edge }, now = Date.now }: EdgeOptions): Check {
  return {
    name: 'clock',
    async run() {
      const answer = await health(edge.url).catch(() => null)
      if (answer === null) return ill('Not known: no answer from the edge', 'have the edge answer first')
      const theirs = Date.parse(String(answer.headers.date))
      // A bare workerd. A clock that is off shows in the enrolment as well.
      if (Number.isNaN(theirs)) return well('not compared, the edge tells no time')
      // The header has whole seconds, cut off.
      const aheadMs = now() - (theirs + 500)
      const off = `${(Math.abs(aheadMs) / 1000).toFixed(0)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the edge's`
      return Math.abs(aheadMs) > limits.clockToleranceMs
        ? ill(
            `This host's clock is ${off}`,
            'set it right, and keep it so with NTP (timedatectl set-ntp true)',
          )
        : well(`agrees with the edge's within ${limits.clockToleranceMs / 1000} s`)
    },
  }
}

async function health(url: string): Promise<Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>> {
  const { statusCode, headers, body } = await request(`${url}/health`, {
    signal: AbortSignal.timeout(timeoutMs),
  })
  await body.dump()
  return { statusCode, headers }
}

/**
 * That the edge takes this host's token. It is asked for the input of a job that is nobody's, which changes nothing: to register would
 * end the runner that runs.
 */
export function enrolmentCheck({ config: { edge }, key }: EdgeOptions & { key: RunnerKey }): Check {
  return {
    name: 'enrolment',
    async run() {
      const signer = createSigner({ ...key, audience: edge.audience })
      const asked = createEdge({ url: edge.url, id: key.id, signer, answerMs: timeoutMs })
      try {
        const path = `/runner/jobs/${randomUUID()}/input?attempt=1`
        const { body } = await asked.send({ method: 'GET', path, signal: AbortSignal.timeout(timeoutMs) })
        await body.dump()
        return enrolled(key)
      } catch (error) {
        return judged(error, key)
      } finally {
        await asked.close()
      }
    },
  }
}

function judged(error: unknown, key: RunnerKey): Finding {
  // 404 or 409, in the edge's words: it knows who asked, and that the job is not theirs.
  if (error instanceof EdgeError && error.retry === 'never') return enrolled(key)
  if (error instanceof EdgeError && (error.status === 401 || error.status === 403))
    return ill(
      error.message,
      `enrol it: \`enrol --name NAME --public-key ${key.publicKey}\` with the edge's ADMIN_TOKEN`,
    )
  return ill(`Not known: ${messageOf(error)}`, 'have the edge answer first')
}

function enrolled({ id }: RunnerKey): Finding {
  return well(`the edge takes the token of runner ${id}`)
}
