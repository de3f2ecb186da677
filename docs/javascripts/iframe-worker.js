/* Browsers start no worker from a file:// page, which the search needs one
   for: there, a hidden frame takes the worker's place. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inside = this.frame.contentWindow
      this.ready = new Promise(resolve => {
        inside.document.open()
        inside.postToParent = data => {
          const event = new MessageEvent("message", { data })
          this.dispatchEvent(event)
          if (this.onmessage) this.onmessage(event)
        }
        inside.started = resolve
        inside.document.write(`<html><body><script>
          postMessage = data => postToParent(data)
          importScripts = (...urls) => urls.reduce(
            (before, url) => before.then(() => new Promise(done => {
              const script = document.createElement("script")
              script.src = url
              script.onload = done
              document.body.appendChild(script)
            })), Promise.resolve())
          <\/script><script src="${url}" onload="started()"><\/script>
          </body></html>`)
        inside.document.close()
      })
    }
    postMessage(data) {
      this.ready.then(() => {
        const inside = this.frame.contentWindow
        inside.dispatchEvent(new inside.MessageEvent("message", { data }))
      })
    }
    terminate() {
      this.frame.remove()
    }
  }
}
