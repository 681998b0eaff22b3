"""Dialogs: what is done to a daemon is said first, and an error is shown where the question stood."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, Static

from aiovirt.admin.top.orders import OrderFailed

#: Carries out what a dialog asks about, with its values; returns what was done. Raises OrderFailed.
Order = Callable[[Sequence[str]], Awaitable[str]]


class Dialog(ModalScreen[str | None]):
    """A question with an order. It ends with what was done, or None if nothing was.

    question: a sentence; a failure of the order is shown below it, and the dialog stays.
    """

    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012 - Textual declares it so

    def __init__(self, title: str, question: str, order: Order) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._order = order
        self._error = Static("", id="error", markup=False)
        self._busy = False

    def compose(self) -> ComposeResult:
        """Yield the question, what belongs to it, and the place for an error."""
        with Vertical(id="dialog") as dialog:
            dialog.border_title = self._title
            yield Label(self._question, markup=False)
            yield from self.content()
            yield self._error

    def content(self) -> ComposeResult:
        """Yield the widgets below the question."""
        raise NotImplementedError

    def action_cancel(self) -> None:
        """End without an order."""
        self.dismiss(None)

    def carry_out(self, *values: str) -> None:
        """Carry out the order; end if it succeeds, else show the reason."""
        if not self._busy:
            self._busy = True
            self._error.update("working...")
            self.run_worker(self._carry_out(values), exit_on_error=True)

    async def _carry_out(self, values: Sequence[str]) -> None:
        try:
            done = await self._order(values)
        except OrderFailed as failed:
            self._error.update(str(failed))
        else:
            self.dismiss(done)
        finally:
            self._busy = False


class Confirmation(Dialog):
    """Asks before something is done. label: of the button that does it."""

    BINDINGS = [Binding("y", "confirm", "Yes"), Binding("n", "cancel", "No")]  # noqa: RUF012 - as above

    def __init__(self, title: str, question: str, label: str, order: Order) -> None:
        super().__init__(title, question, order)
        self._label = label

    def content(self) -> ComposeResult:
        """Yield the buttons."""
        with Horizontal(id="buttons"):
            yield Button("No", id="no")
            yield Button(self._label, id="yes", variant="error")

    def action_confirm(self) -> None:
        """Do it."""
        self.carry_out()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do it, or end."""
        if event.button.id == "yes":
            self.carry_out()
        else:
            self.action_cancel()


class Form(Dialog):
    """Asks for values. fields: labels with the values that stand there at first; Enter sends them."""

    def __init__(self, title: str, question: str, fields: Mapping[str, str], order: Order) -> None:
        super().__init__(title, question, order)
        self._fields = fields

    def content(self) -> ComposeResult:
        """Yield a line for each field."""
        for label, value in self._fields.items():
            with Horizontal(classes="field"):
                yield Label(label)
                yield Input(value, id=f"field-{label}", select_on_focus=True, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Carry out the order with the values of all fields."""
        self.carry_out(*(field.value for field in self.query(Input)))


class Choice(Dialog):
    """Asks for one of several words."""

    def __init__(self, title: str, question: str, words: Sequence[str], order: Order) -> None:
        super().__init__(title, question, order)
        self._words = words

    def content(self) -> ComposeResult:
        """Yield the words."""
        yield OptionList(*self._words, id="choice")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Carry out the order with the word."""
        self.carry_out(self._words[event.option_index])
