// Starts Swagger UI on the schema. What it sends with the browser's session carries the CSRF token.
const page = document.getElementById("api-docs");

SwaggerUIBundle({
  url: page.dataset.schema,
  domNode: page,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  filter: true,
  persistAuthorization: false,
  tryItOutEnabled: false,
  // The validator is another host's.
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (!["GET", "HEAD", "OPTIONS"].includes((request.method || "GET").toUpperCase())) {
      request.headers["X-CSRFToken"] = page.dataset.csrf;
    }
    return request;
  },
});
