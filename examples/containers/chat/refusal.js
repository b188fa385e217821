const names = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** A request that is answered with an error in the shape compute services use: `{code, name, description}`, all text. */
export class Refusal extends Error {
  constructor(status, description, options) {
    super(description, options)
    this.status = status
  }

  toJSON() {
    return { code: String(this.status), name: names[this.status], description: this.message }
  }
}
