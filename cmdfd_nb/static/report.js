// What the report adds to the viewer, in the same script: the views stand in the page as JSON.

/** JSON with its bytes: {base64: ...} becomes a DataView. A loop, since `Uint8Array.from` takes a second over a few megabytes. */
function unpacked(_key, value) {
  if (value?.base64 === undefined) return value;
  const text = atob(value.base64), data = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) data[k] = text.charCodeAt(k);
  return new DataView(data.buffer);
}

mount(document.getElementById('viewer'), JSON.parse(document.getElementById('views').textContent, unpacked));
