"""What the settings of decoders have in common; their models make the API's schema and the console's form."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class DecoderSettings(BaseModel):
    """Each field has a title, a description and examples: a form is made of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


NumericStrings = Annotated[
    bool,
    Field(
        title="Numbers in quotes",
        description='Read "21.5" as the number 21.5. Otherwise it stays the text that the device sent.',
        examples=[False, True],
    ),
]
