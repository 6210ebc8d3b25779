// Questions and last words.
const $ = (id) => document.getElementById(id);

// Asks for a text, or for one of choices = [{text, value, face}], which the text finds.
// thumbnail(face): the address of a picture. Rejects where the user cancels.
export function ask(title, text, choices, thumbnail) {
  const dialog = $('ask'), input = $('ask-text');
  let picked = null;
  const fitting = () => (choices ?? []).filter(
      (c) => c.text.toLowerCase().includes(input.value.trim().toLowerCase()));
  const item = (choice) => {
    const button = document.createElement('button');
    button.type = 'button';
    if (choice.face !== undefined)
      button.append(Object.assign(new Image(), {alt: '', src: thumbnail(choice.face)}));
    button.append(choice.text);
    button.addEventListener('click', () => { picked = choice; dialog.close('ok'); });
    const entry = document.createElement('li');
    entry.append(button);
    return entry;
  };
  const fill = () => $('ask-list').replaceChildren(...fitting().map(item));
  $('ask-title').textContent = title;
  input.value = text;
  input.oninput = fill;
  fill();
  dialog.returnValue = '';
  dialog.showModal();
  input.select();
  return new Promise((resolve, reject) => {
    dialog.onclose = () => {
      picked ??= fitting()[0];
      if (dialog.returnValue !== 'ok' || (choices && !picked)) reject(new Error('cancelled'));
      else resolve({text: input.value.trim(), value: picked?.value});
    };
  });
}

// The end: nothing on the page works any more.
export function over(title, text, command) {
  if ($('over').open) return;
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  $('over-title').textContent = title;
  $('over-text').textContent = text;
  $('over-command').textContent = command;
  $('over').addEventListener('cancel', (event) => event.preventDefault());
  $('over').showModal();
}
