// Renders /openapi.json. A key that is entered under "Authorize" stays in this page's memory: nothing is
// stored, and the page's Content-Security-Policy lets it speak to this gateway alone.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: false,
  validatorUrl: null,
});
