"""Three of the eight kinds as pydantic models: `radixgen extract ... --schema examples.schemas.models:SupportTicket`.

Fields that may be missing from a document are nullable but required, so that each record names all of them.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """What all kinds share: a record has its own fields and no others."""

    model_config = ConfigDict(extra="forbid")


class SupportTicket(Record):
    """A customer's request for help."""

    sender_name: str = Field(description="Customer who wrote, first name first")
    sender_email: str
    product: str = Field(description="What it is about, as the customer calls it")
    order_number: str | None
    category: Literal["billing", "delivery", "defect", "account", "question"]
    wants_refund: bool = Field(description="Whether the customer asks for money back")
    error_message: str | None = Field(description="Message or log line quoted in the request")


class ShippingNotice(Record):
    """Goods that are on their way."""

    carrier: str = Field(description="Company that carries the goods")
    tracking_number: str = Field(description="The carrier's number for the shipment")
    recipient: str = Field(description="Company or person the goods go to")
    delivery_address: str = Field(description="Where the goods are taken, without the recipient's name")
    packages: int
    weight_kg: float | None = Field(description="Gross weight in kilograms")
    expected_delivery: str | None = Field(description="Day of arrival as written, without the weekday")
    signature_required: bool


class EventAnnouncement(Record):
    """An event the public is invited to."""

    title: str
    date: str = Field(description="Day of the event as written, without the weekday")
    start_time: str = Field(description="When it begins, not when doors open")
    venue: str = Field(description="Where it takes place, with street or town where given")
    performers: list[str] = Field(max_length=6, description="Those who play, speak or lead, by name")
    price: float | None = Field(description="Full price for one person; null if it costs nothing")
    free_entry: bool
    contact: str | None = Field(description="E-mail or telephone number for reservations and questions")
