"""A folder put on the Hugging Face Hub as a data set, by huggingface_hub.

What has arrived of large files is not sent again by a later try, and the repository changes at once or not at all.
Knows nothing of what the files are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from common.problems import BadRequest, Problem
from hub.client import repository


def upload_dataset(folder: Path, name: str, replaced: Sequence[str], private: bool = False) -> str:
    """Puts the folder's files into the data set `name` ("owner/name"), which is made if need be; its address.

    replaced: the shell's patterns of files that go where the folder has none of them. Raises Problem."""
    repository("datasets", name)
    if not get_token():
        raise BadRequest("The Hub takes files only from who has a token that may write; set one as HF_TOKEN.")
    api = HfApi(endpoint=constants.ENDPOINT)
    try:
        page = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, delete_patterns=list(replaced),
            commit_message="A ready index",
        )  # fmt: skip
    except HfHubHTTPError as problem:
        status = problem.response.status_code
        if status in (401, 403):
            raise BadRequest(
                f"The Hub does not let this token write to {name}; set one with the right to as HF_TOKEN."
            ) from None
        raise Problem(f"The Hub answered {status} when {name} was uploaded; run the same again later.") from None
    except (HTTPError, OSError) as problem:
        reason = type(problem).__name__
        raise Problem(f"The upload of {name} broke off ({reason}); run the same again, which sends the rest.") from None
    return str(page)
