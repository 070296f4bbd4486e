// Starts ReDoc on the schema, with the fonts of the system: its own would come from another host.
const page = document.getElementById("api-docs");
const family = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

Redoc.init(
  page.dataset.schema,
  {
    hideDownloadButton: false,
    theme: {
      typography: {
        fontFamily: family,
        headings: { fontFamily: family },
        code: { fontFamily: "ui-monospace, Menlo, Consolas, monospace" },
      },
    },
  },
  page,
);
