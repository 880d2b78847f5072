/** What there is to see on the callback page. */
import type { Page } from 'playwright-core'

export interface Seen {
  readonly title: string
  readonly heading: string
  readonly what: string
  /** Who sent the person back, and the reason given. */
  readonly facts: readonly string[]
  readonly address: string
  readonly tellsCommand: boolean
  /** All of the page, without its text. */
  readonly elements: string
}

export function seen(page: Page): Promise<Seen> {
  return page.evaluate(() => {
    const visible = (selector: string) =>
      [...document.querySelectorAll<HTMLElement>(selector)].filter((element) => element.checkVisibility())
    const text = (selector: string) => visible(selector).map((element) => element.textContent)
    return {
      title: document.title,
      heading: text('h1').join(),
      what: text('#what').join(),
      facts: text('dd'),
      address: document.querySelector('textarea')!.value,
      tellsCommand: text('pre').join() === 'npx atproto-oauth complete',
      elements: [...document.querySelectorAll('*')].map(({ nodeName }) => nodeName).join(),
    }
  })
}

/** Of an element's text with what is behind it (WCAG 2.2, 1.4.3). */
export function contrast(page: Page, selector: string): Promise<number> {
  return page
    .locator(selector)
    .first()
    .evaluate((element) => {
      const luminance = (color: string) => {
        const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map((value) => {
          const part = Number(value) / 255
          return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue
      }
      let behind: Element = element
      while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement!
      const both = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance)
      return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05)
    })
}
