import { randomInt } from 'node:crypto'
import { Refusal } from './refusal.js'

const maxMessages = 256

/**
 * What is asked of the model, checked: from the `data` of `/service_output`, or from a body in OpenAI's format, which
 * has the same fields.
 */
export function parseChat(data) {
  return {
    messages: parseMessages(data),
    maxTokens: number(data, 'max_tokens', { least: 1, most: 1e6, whole: true }) ?? 256,
    sampling: {
      // Low, as the makers of small models advise: with more they soon ramble.
      temperature: number(data, 'temperature', { least: 0, most: 2 }) ?? 0.2,
      topP: number(data, 'top_p', { least: 0, most: 1 }) ?? 0.9,
      seed: number(data, 'seed', { least: 0, most: 2 ** 32 - 1, whole: true }) ?? randomInt(2 ** 32),
    },
  }
}

function parseMessages({ prompt, messages }) {
  if (prompt !== undefined && messages !== undefined) {
    throw new Refusal(400, 'give either prompt or messages, not both')
  }
  if (messages === undefined) return [{ role: 'user', content: parsePrompt(prompt) }]
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new Refusal(400, 'messages must be a list of at least one message')
  }
  if (messages.length > maxMessages) throw new Refusal(400, `at most ${maxMessages} messages are read`)
  const parsed = messages.map(parseMessage)
  if (parsed.at(-1).role !== 'user') throw new Refusal(400, 'the last message must be of the user')
  return parsed
}

function parsePrompt(prompt) {
  if (typeof prompt !== 'string' || prompt.trim() === '') {
    throw new Refusal(400, 'prompt (text) or messages ([{role, content}]) is missing')
  }
  return prompt
}

const roles = { system: 'system', developer: 'system', user: 'user', assistant: 'assistant' }

function parseMessage(message, index) {
  const role = Object.hasOwn(roles, message?.role) ? roles[message.role] : undefined
  if (!role) throw new Refusal(400, `messages[${index}].role must be one of ${Object.keys(roles).join(', ')}`)
  return { role, content: parseContent(message.content, index) }
}

function parseContent(content, index) {
  if (typeof content === 'string') return content
  const isText = part => part?.type === 'text' && typeof part.text === 'string'
  if (!Array.isArray(content) || !content.every(isText)) {
    throw new Refusal(400, `messages[${index}].content must be text`)
  }
  return content.map(({ text }) => text).join('')
}

function number(data, name, { least, most, whole }) {
  const value = data[name] ?? undefined
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value))) {
    return value
  }
  throw new Refusal(400, `${name} must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}`)
}
