"""Settings: what a person can choose without changing code, from environment, `.env` and command line.

What the program can be told in the environment is read here, but for the key of a served model on the command line
(app/commands/generator.py) and what libraries read themselves. Everything else is handed plain values; it knows nothing
of models, indexes, databases or pages beyond their names.

Order of precedence: command line, environment, `.env` in the working directory, the defaults below. The
variables are the field names in capitals after `CITESIGHT_`; for host and port the names that Gradio and most
hosting services use are understood too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from app.hosts import is_loopback, named
from app.limits import MAX_PASSAGES
from app.logs import PROBLEMS
from app.rates import PATTERN as RATE
from app.rates import PUBLIC, Limit, Rates
from common.problems import Problem

# What puts passages in order after they were found, beside a cross-encoder's folder or id:
NO_RERANKING, POINTWISE, LISTWISE, IDENTIFY = "off", "pointwise", "listwise", "identify"

_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

SPACE_STORAGE = Path("/data")  # where a Space's disk is that outlives a restart, if it has one
# A corpus becomes a folder's name, so nothing that could climb out of the data directory is let in.
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_PLAIN, _PLAIN_OR_NONE = r"^[^\x00-\x1f]{1,1000}$", r"^[^\x00-\x1f]{0,1000}$"
_PATH = r"^(?:/[A-Za-z0-9._~-]+)*/?$"
_HOSTS = r"^[A-Za-z0-9.:\[\]_ -]*$"
_SITES = r"^(?:https?://[A-Za-z0-9.*:_-]+(?: +|$))*$"
_CLUSTER = r"^[A-Za-z0-9.:\[\]_/-]{1,200}$"
_ADDRESS = r"^https?://[^\s/]+(/[^\s]*)?$"
_TAKEN = {  # what is told of a value that such a pattern does not take
    _NAME: "up to 64 letters, digits, dots, dashes and underscores, the first of them a letter or a digit",
    _PLAIN: "up to 1,000 characters on one line",
    _PLAIN_OR_NONE: "up to 1,000 characters on one line",
    _PATH: "a path such as /citesight",
    _HOSTS: "names such as example.org, with spaces between",
    _SITES: "addresses such as https://example.org, with spaces between",
    _CLUSTER: "HOST:PORT, auto or local",
    _ADDRESS: "an address such as http://localhost:4318",
    RATE: "limits such as 20/minute 500/day 4/once, or none",
}


class Settings(BaseSettings):
    """All settings, checked. Make one with `load_settings`, which turns problems into sentences."""

    model_config = SettingsConfigDict(
        env_prefix="CITESIGHT_",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        frozen=True,
    )

    data_dir: Path = Field(Path("data"), description="folder for the database, the indexes and fetched files")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the catalogue (default: SQLite in the data folder)"
    )
    profile: str = Field(
        "mini",
        pattern=_PLAIN,
        description="which encoder to use: mini, preflmr-vit-b, preflmr-vit-l, preflmr-vit-g, flmr, ret-vit-l, "
        "ret-vit-h, ret-vit-g, colbert, gte-moderncolbert, colpali, colqwen2, colmodernvbert, a folder with a "
        "checkpoint, the id of one on the Hugging Face Hub, or a file of a fine-tuned mini; or two that are asked "
        "together, as preflmr-vit-l+ret-vit-l",
    )
    ready: str = Field(
        "",
        pattern=_PLAIN_OR_NONE,
        description="a ready index to begin with, as python -m retriever publish makes one: a folder, or the id of a "
        "data set on the Hugging Face Hub (default: texts are ingested and encoded here)",
    )
    encoder_url: str | None = Field(
        None,
        description="address of a served encoder of the profile (python -m retriever serve-encoder), such as "
        "http://gpu1:8200 (default: none, the encoder works in this process)",
    )
    encoder_key: SecretStr | None = Field(None, description="the key that a served encoder wants")
    corpus: str = Field("wikipedia-vital", pattern=_NAME, description="the collection questions are asked of")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        validation_alias=AliasChoices("CITESIGHT_HOST", "GRADIO_SERVER_NAME"),
        description="address the page listens on",
    )
    port: int = Field(
        7860,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("CITESIGHT_PORT", "GRADIO_SERVER_PORT", "PORT"),
        description="port the page listens on",
    )
    root_path: str = Field(
        "",
        pattern=_PATH,
        validation_alias=AliasChoices("CITESIGHT_ROOT_PATH", "GRADIO_ROOT_PATH"),
        description="the path below which a proxy serves the page, such as /citesight",
    )
    manage: bool | None = Field(
        None,
        description="whether corpora can be added, paused and deleted on the page (default: only when the page listens "
        "on a loopback address)",
    )
    api_open: bool | None = Field(
        None,
        description="whether programs may ask by /api/v1 and /mcp without a key (default: only at a loopback address)",
    )
    allowed_hosts: str = Field(
        "",
        pattern=_HOSTS,
        description="names, with spaces between, under which the page may be asked for, beside the machine's addresses "
        "and the name it listens on; needed behind a proxy",
    )
    framed_by: str = Field(
        "",
        pattern=_SITES,
        description="sites, as https://example.org with spaces between, whose pages may show this one within them (not "
        "where corpora can be changed)",
    )
    trusted_proxies: str = Field(
        "",
        description="addresses or networks, with spaces between, of proxies that are believed when they say for whom, "
        "by which name and scheme they ask (default: none; on a Hugging Face Space, private networks)",
    )
    rate_person: str | None = Field(
        None,
        pattern=RATE,
        description="how many questions one person may ask on the page, as 20/minute 500/day 4/once, or none for any "
        "number (default: that, for who comes from another machine)",
    )
    rate_address: str | None = Field(
        None,
        pattern=RATE,
        description="how many questions may come from one network address (default: 60/minute 3000/day 20/once, from "
        "another machine)",
    )
    rate_key: str | None = Field(
        None,
        pattern=RATE,
        description="how many questions may be asked with one API key (default: 60/minute 5000/day 8/once, from "
        "another machine)",
    )
    space_host: str | None = Field(
        None, validation_alias=AliasChoices("SPACE_HOST"), description="the name of the Hugging Face Space this runs in"
    )
    space_author: str = Field(
        "",
        validation_alias=AliasChoices("SPACE_AUTHOR_NAME"),
        description="whose Space this is, who owns annotation there: a user or an organisation",
    )
    oauth_client_id: str = Field(
        "", validation_alias=AliasChoices("OAUTH_CLIENT_ID"), description="given by a Space with hf_oauth: true"
    )
    oauth_client_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("OAUTH_CLIENT_SECRET"), description="given by a Space with hf_oauth: true"
    )
    oauth_scopes: str = Field(
        "openid profile", validation_alias=AliasChoices("OAUTH_SCOPES"), description="what Hugging Face is asked for"
    )
    openid_provider_url: str = Field(
        "https://huggingface.co",
        validation_alias=AliasChoices("OPENID_PROVIDER_URL"),
        description="who says on a Space who signs in",
    )

    question_log: str | None = Field(
        None,
        pattern=_NAME,
        description="the annotation project that questions asked on the page go to, with photo and answer, which the "
        "page says then (default: none are kept)",
    )
    question_log_days: int = Field(
        0,  # else an update would take away what people judged
        ge=0,
        le=3650,
        description="how many days a question is kept there after it was last asked, judged or not, which the page "
        "says; 0: until an owner removes it",
    )
    ray: str | None = Field(
        None,
        pattern=_CLUSTER,
        description="the Ray cluster on which indexes of several shards are searched: HOST:PORT, auto for the one that "
        "this machine belongs to, or local for one of its own (default: they are searched in this process)",
    )
    replicas: int = Field(
        1, ge=1, le=16, description="processes on that cluster that hold each shard; with two, one may die unnoticed"
    )
    link_days: int = Field(
        90,
        ge=0,
        le=3650,
        description="how many days an answer is kept that somebody on the page keeps under a link; 0: nobody can",
    )
    log: Literal["problems", "plain", "json"] = Field(
        PROBLEMS,
        description="what is written to standard error: what goes wrong (problems), or a line for each stage of each "
        "question and for each request, plain or as json",
    )
    log_content: bool = Field(
        False, description="whether those lines have questions, answers and what Python says of problems in them"
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=_ADDRESS,
        validation_alias=AliasChoices("CITESIGHT_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="address of a collector of OpenTelemetry that is sent traces of questions by OTLP over HTTP, such "
        "as http://localhost:4318 (default: none)",
    )
    data_gb: float | None = Field(
        None,
        gt=0,
        description="how many GB the data folder may take before nothing more is taken in on the page (default: as "
        "much as there is)",
    )
    most_corpora: int | None = Field(
        None, ge=1, description="how many collections there may be, the usual one among them (default: any number)"
    )
    corpus_passages: int | None = Field(
        None, ge=1, description="how many passages one collection may have (default: any number)"
    )
    keep_hours: float = Field(
        6.0,
        ge=0.25,
        le=8760.0,
        description="for how many hours uploads, conversations and answers are kept after they were last used, which "
        "the page says",
    )
    metrics: bool = Field(
        False, description="whether /metrics tells Prometheus how many questions there were and what they took"
    )
    passages: int = Field(5, ge=1, le=MAX_PASSAGES, description="how many passages to find for a question")
    hybrid: bool = Field(
        False, description="for a question without photo, search the catalogue by words as well and fuse the two"
    )
    read_photo: Literal["auto", "always", "never"] = Field(
        "auto",
        description="whether the text in a photo is read: always, never, or where the question or the photo calls for "
        "it (auto)",
    )
    rerank: str = Field(
        NO_RERANKING,
        pattern=_PLAIN,
        description="what puts the passages found in a better order: off, a cross-encoder's folder or its id on the "
        "Hugging Face Hub, or how the model that answers does it: pointwise, listwise or identify",
    )
    min_score: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="best score, 0 to 1, under which no answer is attempted (default: the profile's own)",
    )

    model: str | None = Field(
        None,
        pattern=_PLAIN,
        description="a vision-language model that answers: its name at served_url, else a folder with its checkpoint "
        "or its id on the Hugging Face Hub (default: none, answers are quotes)",
    )
    served_url: str | None = Field(
        None,
        description="address of a server with OpenAI's chat protocol, such as http://localhost:8000/v1, or of several "
        "that share the requests, with spaces or commas between",
    )
    served_key: SecretStr | None = Field(None, description="the server's key, if it wants one")
    thinking_tokens: int = Field(
        0, ge=0, le=100_000, description="tokens that a model may think for, beside those of its answer"
    )
    searxng_url: str | None = Field(
        None, description="address of a SearXNG that finds pages for questions, such as http://localhost:8080"
    )
    google_key: SecretStr | None = Field(None, description="key of Google's Custom Search JSON API")
    google_engine: str | None = Field(None, description="id of the search engine that the key is used with")
    four_bit: bool = Field(False, description="load the model that answers in 4 bits; needs a GPU and bitsandbytes")

    @field_validator("root_path")
    @classmethod
    def _no_end(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("host")
    @classmethod
    def _bare(cls, value: str) -> str:
        """An address of IPv6 without the brackets that it has in a URL."""
        return value[1:-1] if value.startswith("[") and value.endswith("]") else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in value.split():
            try:
                ip_network(each)
            except ValueError as problem:
                raise PydanticCustomError("network", "{reason}", {"reason": str(problem)}) from None
        return value

    @field_validator("data_dir", "profile", "model", "rerank")
    @classmethod
    def _at_home(cls, value: Path | str | None) -> Path | str | None:
        """No shell has seen what stands in the environment or a file, nor all that stands behind an option."""
        if value is None:
            return None
        place = os.path.expanduser(value)
        if isinstance(value, Path) and place.startswith("~"):
            raise PydanticCustomError("home", "nobody of this machine is called what stands behind its ~")
        return Path(place) if isinstance(value, Path) else place

    def plain(self, names: Sequence[str]) -> dict[str, str]:
        """The settings of these names as texts, secrets among them; "" for those that are not set."""
        values = {name: getattr(self, name) for name in names}
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
            for name, value in values.items()
        }

    @property
    def keep_seconds(self) -> float:
        """For how long what people brought and were shown is kept."""
        return 3600 * self.keep_hours

    @property
    def secrets(self) -> list[str]:
        """What no log may have."""
        own = [each.get_secret_value() for each in self.__dict__.values() if isinstance(each, SecretStr)]
        return [*own, unquote(urlsplit(self.database_url or "").password or "")]

    @property
    def catalogue_place(self) -> str | Path:
        """Where the catalogue is: the SQLAlchemy URL that was given, or SQLite's file in the data folder."""
        return self.database_url or self.data_dir / "catalogue.sqlite"

    @property
    def may_manage(self) -> bool:
        """Whether those who open the page may change corpora, which includes reading folders of this machine."""
        return is_loopback(self.host) if self.manage is None else self.manage

    def may_manage_as(self, host: str) -> bool:
        """The same for a browser that asks for the page under this name: `Host` of its requests, with or without port.

        A page from elsewhere can have its own name lead to a loopback address, and would then be taken for this one."""
        asked = named(host)
        return self.may_manage and (self.manage is True or (asked is not None and is_loopback(asked[0])))

    def may_ask_as(self, host: str) -> bool:
        """Whether a program that asks under this name, as may_manage_as has it, may do so without a key. Unless that is
        set, one that comes by a proxy under the name of a site may not, also where that proxy is on this machine."""
        asked = named(host)
        local = is_loopback(self.host) and asked is not None and is_loopback(asked[0])
        return local if self.api_open is None else self.api_open

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Where proxies are that are believed. A Space is reached by nobody but Hugging Face's own proxies, which come
        from private addresses, so those are, where nothing else is said."""
        given = self.trusted_proxies.split() or (_PRIVATE if self.space_host else ())
        return tuple(ip_network(each) for each in given)

    @property
    def rates(self) -> Rates:
        """How many questions may be asked. What is set counts for everybody, the defaults for other machines alone."""
        given = {"person": self.rate_person, "address": self.rate_address, "key": self.rate_key}
        limits = {name: Limit.of(text) for name, text in given.items() if text is not None}
        return replace(PUBLIC, **limits, spare_here=not limits)

    @property
    def hub_accounts(self) -> bool:
        """Whether people sign in with their Hugging Face accounts: on a Space that was given what it needs for it."""
        return bool(self._space_names and self.oauth_client_id and self.oauth_client_secret)

    @property
    def space_address(self) -> str:
        """Where the Space is, without the slash; of several names the first, to which Hugging Face leads back."""
        name = self._space_names[0]
        asked = named(name)
        return f"{'http' if asked and is_loopback(asked[0]) else 'https'}://{name}"

    @property
    def _space_names(self) -> list[str]:
        """Several, with commas between, where the Space has a domain of its own."""
        return [name.strip().rstrip("/") for name in (self.space_host or "").split(",") if name.strip()]

    @property
    def disk_may_go(self) -> bool:
        """Whether what is kept goes with a restart: on a Space whose data folder is not on its persistent storage."""
        here = self.database_url is None and not self.data_dir.absolute().is_relative_to(SPACE_STORAGE)
        return bool(self._space_names) and here

    @property
    def names(self) -> frozenset[str]:
        """The names under which the page may be asked for, beside addresses and those of loopback."""
        own = named(self.host)
        return self.other_names | ({own[0]} if own else set())

    @property
    def other_names(self) -> frozenset[str]:
        """Those of them that were given for it: not this machine's own."""
        given = [*self._space_names, *self.allowed_hosts.split()]
        return frozenset(found[0] for found in map(named, given) if found is not None)

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """The origins whose pages may show this one within them. None but Spaces' own while corpora can be changed, so
        that nobody can have a button pressed that is not seen."""
        space = ("https://huggingface.co", "https://*.hf.space") if self.space_host else ()
        return space if self.may_manage else (*space, *self.framed_by.split())

    @property
    def annotation_photos_dir(self) -> Path:
        """Where the photographs of annotation projects are kept."""
        return self.data_dir / "annotations" / "photos"

    @property
    def cache_dir(self) -> Path:
        """Where fetched model and corpus files are kept."""
        return self.data_dir / "cache"

    @property
    def page_uploads_dir(self) -> Path:
        """Where what is uploaded on the page lies when several processes may serve it."""
        return self.data_dir / "page-uploads"

    @property
    def pictures_dir(self) -> Path:
        """Where the pictures of documents are kept."""
        return self.data_dir / "pictures"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` (from a command line) go before everything, None ones are left out.

    Raises Problem with one sentence that names the setting.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    unknown = sorted(set(given) - set(Settings.model_fields))
    if unknown:
        raise Problem(f"There is no setting called {unknown[0]}.")
    try:
        settings = Settings(**given)
    except ValidationError as problem:
        raise Problem(_sentence(problem)) from None
    except (SettingsError, UnicodeDecodeError, OSError) as problem:
        raise Problem(f"The settings in the environment or .env cannot be read: {problem}") from None
    if settings.served_url is not None and settings.model is None:
        raise Problem(
            "The setting served_url (CITESIGHT_SERVED_URL) needs the name of a model there as well (CITESIGHT_MODEL)."
        )
    if settings.rerank in (POINTWISE, LISTWISE, IDENTIFY) and settings.model is None:
        raise Problem(
            f"The setting rerank (CITESIGHT_RERANK) can be {settings.rerank} only with a vision-language model; name "
            "one as well (CITESIGHT_MODEL)."
        )
    return settings


def _sentence(problem: ValidationError) -> str:
    first = problem.errors(include_url=False)[0]
    place = str(first["loc"][0]) if first["loc"] else "settings"
    field = next((name for name in Settings.model_fields if place in _spellings(name)), place)
    variables = " or ".join(sorted(_spellings(field) - {field}))
    reason = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "string_pattern_mismatch":
        reason = f"give {_TAKEN[first['ctx']['pattern']]}"
    value = repr(first["input"])
    value = value if len(value) <= 60 else value[:57] + "..."
    return f"The setting {field} ({variables}) cannot be {value}: {reason}."


def _spellings(field: str) -> set[str]:
    alias = Settings.model_fields[field].validation_alias if field in Settings.model_fields else None
    names = {str(name) for name in alias.choices} if isinstance(alias, AliasChoices) else set()
    return {field, f"CITESIGHT_{field.upper()}"} | names
