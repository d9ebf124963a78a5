"""What every mapping of the file is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the file: an unknown key is refused, nothing changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
