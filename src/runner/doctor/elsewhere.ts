import type { Config, Container } from '../config/config.ts'
import { probe } from '../health/probe.ts'
import { createContainerAgent } from '../job/agent.ts'
import { type Check, ill, well } from './check.ts'

/** That containers which are not started here answer. */
export function elsewhereChecks({ containers }: Pick<Config, 'containers'>): Check[] {
  return containers.filter(({ managed }) => !managed).map(answerCheck)
}

function answerCheck(container: Container): Check {
  const { id, baseUrl, healthPath } = container
  return {
    name: 'container',
    async run() {
      const agent = createContainerAgent(() => [{ baseUrl, config: container }])
      try {
        const found = await probe(baseUrl, { container, agent })
        if (found.state === 'ready') return well(`${id}: ${baseUrl} is ready`)
        const what = `${id}: ${baseUrl}${healthPath}: ${found.detail}`
        return ill(what, 'start the container, or correct its `url`; its log says more')
      } finally {
        await agent.destroy()
      }
    },
  }
}
