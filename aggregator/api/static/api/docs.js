"use strict";

// Swagger UI on our own schema. Changes that a signed-in person tries carry the CSRF token.
const doors = document.getElementById("doors");

SwaggerUIBundle({
  url: doors.dataset.schema,
  domNode: doors,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  requestInterceptor: (request) => {
    const isOurs = new URL(request.url, document.baseURI).origin === window.location.origin;
    if (isOurs && !["GET", "HEAD"].includes((request.method || "GET").toUpperCase())) {
      request.headers["X-CSRFToken"] = doors.dataset.csrf;
    }
    return request;
  },
});
