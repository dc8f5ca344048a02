"Take widget state, views of widgets and progress bars out of notebooks: `nbdev_clean` keeps all three."
import json, sys
from pathlib import Path

VIEW = 'application/vnd.jupyter.widget-view+json'   # means nothing without the kernel that made it

for path in map(Path, sys.argv[1:]):
    text = path.read_text('utf-8')
    notebook = json.loads(text)
    notebook['metadata'].pop('widgets', None)
    for cell in notebook['cells']:
        for output in cell.get('outputs', []): output.get('data', {}).pop(VIEW, None)
        if 'outputs' in cell: cell['outputs'] = [output for output in cell['outputs'] if output.get('name') != 'stderr']
    cleaned = json.dumps(notebook, indent=1, ensure_ascii=False) + '\n'
    if json.loads(text) != notebook: path.write_text(cleaned, 'utf-8')
