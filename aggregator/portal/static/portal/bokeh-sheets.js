/* Loaded before bokeh.min.js. Bokeh writes the styles of its components into <style> elements,
   which "style-src 'self'" refuses. Give it an element that keeps the same text in a constructed
   style sheet of the root it is put into: sheets made through the object model are not governed
   by the policy. */
"use strict";
(() => {
  const createElement = Document.prototype.createElement;

  class StyleSheetElement extends HTMLElement {
    #sheet = new CSSStyleSheet();
    #css = "";
    #root = null;

    get textContent() { return this.#css; }

    set textContent(css) {
      this.#css = css;
      this.#sheet.replaceSync(css);
    }

    connectedCallback() {
      this.#root = this.getRootNode();
      const sheets = this.#root.adoptedStyleSheets;
      if (!sheets.includes(this.#sheet)) this.#root.adoptedStyleSheets = [...sheets, this.#sheet];
    }

    disconnectedCallback() {
      const sheets = this.#root.adoptedStyleSheets;
      this.#root.adoptedStyleSheets = sheets.filter((sheet) => sheet !== this.#sheet);
    }
  }
  customElements.define("wattbit-sheet", StyleSheetElement);

  Document.prototype.createElement = function (name, options) {
    const isStyle = String(name).toLowerCase() === "style";
    return createElement.call(this, isStyle ? "wattbit-sheet" : name, options);
  };
})();
