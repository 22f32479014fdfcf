"""The answer service: photo and question in, evidence and a cited answer out, one step at a time.

The page, the command line, a script or a test all call this and nothing deeper. It knows the four parts
(catalogue, encoder, index, answerer) and their order; it knows nothing of Gradio, of SQL, or of how any model
works. What a person did wrong, or has to wait for, is raised as `Problem`, one sentence to show as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from app.limits import ANSWERS_KEPT, FIRST_AT_MOST, FIRST_PATIENCE, MAX_TURNS
from app.service import retrieval
from app.service.answerers import Answerers
from app.service.asked_language import explained, for_the_search
from app.service.corpus_names import checked_corpora
from app.service.encoder_lock import SharedEncoder
from app.service.indexes import Indexes, states_of, unsearched_of
from app.service.photo_reading import PhotoReading
from app.service.photo_subject import find_subject
from app.service.picture_matches import PictureMatches
from app.service.question_subject import taken_over
from app.service.questions import check_taken, checked_count, checked_question, fingerprint_of, opened
from app.service.region import checked_region, cut_out, in_whole
from app.service.reranking import Asked, Found, Reranking
from app.service.results import WHOLE, EvidenceFound, IndexStatus, PhotoInput, Result, Step, Subject
from app.service.retrieval import evidence_of
from app.service.second_profile import SecondProfile
from app.service.text_in_photo import Looked, TextInPhotos
from app.service.trace import Clock, Trace, answered, answered_alone, awaiting, quoted
from app.settings import Settings
from common.jobs import Progress
from common.memory import free_bytes
from common.passage import Passage
from common.problems import BadRequest
from common.recently_used import RecentlyUsed
from common.worker_thread import Worker
from generator.answers import Turn
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from kb.processes.registry import ThisProcess
from kb.records import CorpusInfo
from retriever.encoders.base import Encoder, Query, QueryVectors, Takes
from retriever.encoders.registry import profiles_in
from retriever.index import Index

CPU = torch.device("cpu")
WAITING = 0.2  # seconds between two looks whether who waits for an encoder is to stop


class AnswerService:
    """Answers questions from indexed corpora. Every method may be called from any thread; models work in one thread
    and searches in another, whoever asks.

    encoder_loader(progress): called once, in the background, for the encoder; progress is told of bytes fetched.
    answerers_factory(encoder, progress): called once after it for what answers.
    fetch(corpus, progress): brings a corpus into the catalogue if it is not there yet. reading: reads photos; None
    reads none. second_loader: as encoder_loader, where the profile is two.
    Nothing slow happens here; `start` begins loading and indexing in the background.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        encoder_loader: Callable[[Progress], Encoder],
        answerers_factory: Callable[[SharedEncoder, Progress], Answerers],
        fetch: Callable[[str, Progress], object],
        reading: PhotoReading | None = None,
        second_loader: Callable[[Progress], Encoder] | None = None,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self._encoder_loader = encoder_loader
        self._answerers_factory = answerers_factory
        self._encoder: SharedEncoder | None = None
        self._answerers: Answerers | None = None
        self._search = Worker("search")
        self._reading = reading or PhotoReading()
        self._texts = TextInPhotos(catalogue, self._reading, self._search.run)
        self._reranking = Reranking(catalogue)
        self._known: RecentlyUsed[Result] = RecentlyUsed(ANSWERS_KEPT)
        self._subjects: RecentlyUsed[Subject] = RecentlyUsed(ANSWERS_KEPT)
        self._pictures = PictureMatches(catalogue, Pictures(settings.pictures_dir))
        self._loading = threading.Lock()
        self.process = ThisProcess(catalogue.database)
        first = profiles_in(settings.profile)[0] if second_loader else settings.profile
        self.indexes = Indexes(settings.model_copy(update={"profile": first}), catalogue, self.encoder, fetch)
        self._second = second_loader and SecondProfile(settings, catalogue, second_loader, self.encoder, self.indexes)

    def start(self, corpus: str | None = None) -> None:
        """Load the encoder and bring the corpus's index up to date in the background; returns at once. None means
        `settings.corpus`. For one under way it does nothing; one that failed, or has new passages
        since, it tries again."""
        self.indexes.start(corpus or self.settings.corpus)

    def prepare(self, listener: Callable[[IndexStatus], None], corpus: str | None = None) -> IndexStatus:
        """Like `start`, but does it now; listener is told of every change. Returns the last status."""
        return self.indexes.prepare(corpus or self.settings.corpus, listener)

    def corpora(self) -> list[CorpusInfo]:
        """The corpora in the catalogue, for a chooser; none until one has been fetched."""
        return self.catalogue.corpora()

    def passage(self, id: str) -> Passage | None:
        """The passage of that id; None where there is none, or none any more."""
        return next(iter(self.catalogue.passages([id])), None)

    def status(self, corpus: str | None = None) -> IndexStatus:
        """How far the corpus (None: `settings.corpus`) is: see `IndexStatus`. Cheap; poll it."""
        return self.indexes.status(corpus or self.settings.corpus)

    def statuses(self) -> dict[str, IndexStatus]:
        """The same of every corpus whose indexing was begun in this process, by name."""
        return self.indexes.statuses()

    def generations(self) -> dict[str, int]:
        """How often each open index has changed since it was made, by corpus."""
        return self.indexes.generations()

    def model_failures(self) -> int:
        """How often a server of the model that answers has failed since the program began."""
        return 0 if self._answerers is None else self._answerers.failures()

    def free_memory(self) -> int:
        """Bytes that the program could still take."""
        return free_bytes(CPU)

    def loading(self) -> str:
        """What a question that is being answered waits for: a sentence on a model that is being loaded, else ""."""
        return "" if self._answerers is None else self._answerers.loading()

    def takes(self) -> Takes | None:
        """What the encoder reads; None until it is loaded."""
        return None if self._encoder is None else self._encoder.takes

    def ask(
        self,
        image: PhotoInput,
        question: str,
        corpora: Sequence[str] | None = None,
        k: int | None = None,
        *,
        turns: Sequence[Turn] = (),
        region: Sequence[float] | None = None,
        each: bool = False,
        own: bool = False,
        text: str | None = None,
    ) -> Iterator[Step]:
        """Answer a question: one `EvidenceFound`, then any number of `PartialText` and `PartialOwn`, last the `Result`.

        image: what `common.images.load_image` takes, a PIL image, or None for a question without photo.
        corpora: names; None means `settings.corpus`. k: passages wanted, 1..50; None: `settings.passages`.
        turns: the conversation so far, oldest first, which the question may point back at; see `Result.turn`.
        region: the part of the photo that is asked about, as fractions: left, top, right, bottom; None: all of it.
        each: ask the model of each passage alone and take the most probable answer. own: say as well what the model
        answers without any passage; where it fails at that, the answer stays and `Result.own` says why. text: what is
        written in the photo, "" for nothing; None: that is read, as the settings say.
        Raises Problem, when iterated, for what the person can mend or must wait for. Evidence that is too
        weak is no exception: the Result's answer then has `answered` False and a `reason`.
        An answer given before to the same question of the same photo, index and model is given again at once.
        Closing the iterator stops the work.
        """
        trace = self._check(image, question, corpora, k, turns, region, each, own, text)
        key = (trace.key(), self.settings.hybrid, self.settings.rerank)
        known = self._known.get(key)
        if known is not None and retrieval.still_so(self.catalogue, known):
            found = (known.passages, known.query, known.searched, known.subject, known.alignments)
            yield EvidenceFound(*found, trace.whole, known.text, known.reranked, known.second)
            yield replace(known, cached=True)
            return
        trace.clock.lap("load")
        with trace.encoder.asking():
            self._encode(trace)
            self._retrieve(trace)
            yield trace.found()
            trace.clock.skip()  # what the caller did with it is not part of answering
            trace.matches = self._pictures.found(trace.passages, trace.alignments, trace.query, trace.encoder)
            yield from answered(trace)
            trace.answer = awaiting(trace.answer, trace.subject)
            trace.answer = quoted(explained(trace), trace.text)
            if own:
                yield from answered_alone(trace)
        result = trace.result()
        if trace.complete and result.indexed == result.total and not result.unsearched:
            self._known.put(key, result)
        yield result

    def ask_once(
        self, image: PhotoInput, question: str, corpora: Sequence[str] | None = None, k: int | None = None, **how: Any
    ) -> Result:
        """`ask`, without the steps between."""
        *_, result = self.ask(image, question, corpora, k, **how)
        return result

    def find(self, image: PhotoInput, question: str, k: int, corpus: str | None = None) -> EvidenceFound:
        """The k best passages alone, however many; for measuring and for commands that answer nothing. One that a
        reranker brought in has no rank that it `was` found at.

        Raises Problem as `ask` does."""
        names = [corpus or self.settings.corpus]
        indexes = self.indexes.searchable(names)
        encoder = self.encoder()
        second = self._second and self._second.ready(names)
        with encoder.asking():
            photo = None if image is None else opened(image)
            check_taken(encoder.takes, photo)
            with self.indexes.searching(names):
                pictures = photo is not None and self._pictures.possible(encoder, names, states_of(indexes))
                asked = Query(question, photo, pictures=pictures)
                [query] = encoder.encode_queries([asked])
                subject, which = None, (fingerprint_of(photo), WHOLE)
                if photo is not None:
                    subject = self._search.run(find_subject, self.catalogue, indexes, query)
                    looked = Looked(query, subject)
                    looked = self._texts.added(asked, looked, encoder, indexes, which)
                    query, subject = looked.query, looked.subject
                sought = Asked(question, photo, which, k, second and second.ask(asked))
                found = self._found(indexes, query, sought, subject)
            ranked = evidence_of(self.catalogue, found.ranking, k, found.subject, query.recognition)
            passages = second.said(found.told(ranked)) if second else found.told(ranked)
            left_out = unsearched_of(indexes.values())
            return EvidenceFound(passages, query, "", found.subject, reranked=found.reranked, unsearched=left_out)

    def close(self) -> None:
        """Stop indexing (after the batch under way) and close indexes and catalogue."""
        self.indexes.close()
        if self._answerers is not None:
            self._answerers.close()
        if self._encoder is not None:
            self._encoder.worker.close()
        self._reading.close()
        self._search.close()
        self.process.close()
        self.catalogue.close()

    def encoder(self, progress: Progress = lambda done, total: None) -> SharedEncoder:
        """The encoder, loaded when first asked for, and what answers beside it.

        progress is told of bytes that have to be fetched, and of (0, 0) while another thread loads; what it raises ends
        this. Raises what loading does, such as Problem for a model that cannot be used."""
        while not self._loading.acquire(timeout=WAITING):
            progress(0, 0)
        try:
            if self._encoder is None:
                self._encoder = SharedEncoder(self._encoder_loader(progress))
            if self._answerers is None:
                self._answerers = self._answerers_factory(self._encoder, progress)
            return self._encoder
        finally:
            self._loading.release()

    def _check(
        self,
        image: PhotoInput,
        question: str,
        corpora: Sequence[str] | None,
        k: int | None,
        turns: Sequence[Turn],
        region: Sequence[float] | None,
        each: bool,
        own: bool,
        text: str | None,
    ) -> Trace:
        """What was asked, looked at, with what is needed to answer it; arguments as in `ask`. Raises Problem."""
        clock = Clock()
        question = checked_question(question, image is not None)
        k = checked_count(self.settings.passages if k is None else k)
        names = checked_corpora(corpora, self.settings.corpus, self.catalogue, self.indexes.can_search)
        whole = None if image is None else opened(image)
        part = checked_region(region, whole) if whole is not None else WHOLE
        photo = None if whole is None else cut_out(whole, part)
        clock.lap("load")
        indexes = self.indexes.searchable(names)
        encoder = self.encoder()
        check_taken(encoder.takes, whole)
        answerers = self._answerers
        answerer = answerers.each if each else answerers.together
        if answerer is None or (own and answerers.own is None):
            raise BadRequest("That needs a vision-language model and none is set; give one as CITESIGHT_MODEL.")
        second = self._second and self._second.ready(names)
        clock.skip()  # waiting for the encoder to load is not part of answering
        with self.indexes.searching(names):
            states = states_of(indexes) + (second.states if second else ())
        shown = fingerprint_of(whole)
        turns = tuple(turns)[-MAX_TURNS:]
        if whole is not None:  # what was asked of another photo is about another thing
            turns = tuple(turn for turn in turns if turn.photo in ("", shown))
        return Trace(
            question=question,
            names=tuple(names),
            k=k,
            turns=turns,
            whole=whole,
            part=part,
            photo=photo,
            shown=shown,
            each=each,
            own=own,
            indexes=indexes,
            states=states,
            encoder=encoder,
            answerers=answerers,
            answerer=answerer,
            clock=clock,
            said=self._reading.said(text, shown),
            second=second,
        )

    def _encode(self, trace: Trace) -> None:
        """The question as it stands alone, and in the language of the passages; the query's vectors."""
        trace.asked = trace.question
        if trace.turns:
            trace.asked = trace.answerer.standalone(trace.question, trace.turns)
            taken = taken_over(trace.question, trace.asked, trace.turns)
            if trace.photo is not None and not retrieval.heard_of(self.catalogue, taken, trace.names):
                trace.asked = trace.question
        trace.searched = for_the_search(self.catalogue, trace)
        if trace.searched != trace.question:
            trace.clock.lap("rewrite")
        trace.pictures = trace.photo is not None and self._pictures.possible(trace.encoder, trace.names, trace.states)
        [query] = trace.encoder.encode_queries([trace.asks()])
        trace.query = replace(query, area=in_whole(query.area, trace.part))
        trace.clock.lap("encode")

    def _retrieve(self, trace: Trace) -> None:
        """What the photo shows, and the passages; where the question is about something else, the photo is left out."""
        with self.indexes.searching(trace.names):
            self._index_first(trace)
            if trace.photo is not None:
                same = (trace.encoder.fingerprint, trace.names, trace.states, trace.part, trace.shown)
                trace.subject = self._search.run(self._subject, trace.indexes, trace.query, same)
                if retrieval.of_another(self.catalogue, trace.searched, trace.subject, trace.names):
                    trace.photo, trace.subject, trace.left_out = None, None, True
                    [trace.query] = trace.encoder.encode_queries([Query(trace.searched)])
                    self._index_first(trace)
                else:
                    self._read(trace)
            second = trace.second and trace.second.ask(trace.asks())
            asked = Asked(trace.searched, trace.photo, (trace.shown, trace.part), trace.k, second)
            found = self._found(trace.indexes, trace.query, asked, trace.subject)
            trace.subject, trace.reranked = found.subject, found.reranked
            trace.complete = found.reranked is None or not found.reranked.failed
            # Now, since a corpus may be deleted, and its index closed, while the model answers.
            counts = [(len(trace.indexes.get(name, ())), self.catalogue.count(name)) for name in trace.names]
            trace.clock.lap("search", "rerank", 0.0 if found.reranked is None else found.reranked.seconds)
            passages = evidence_of(self.catalogue, found.ranking, trace.k, trace.subject, trace.query.recognition)
            trace.passages = found.told(passages)
            trace.clock.lap("passages")
            trace.alignments = self._search.run(retrieval.alignments_of, trace.indexes, trace.query, trace.passages)
            trace.passages = retrieval.with_likeness(trace.passages, trace.query, trace.alignments)
            if second:
                trace.passages = second.said(trace.passages)
                trace.alignments = self._search.run(second.aligned, trace.passages, trace.alignments)
        asked = [trace.indexes, trace.second.indexes] if trace.second else [trace.indexes]
        trace.unsearched = max(unsearched_of(each.values()) for each in asked)
        trace.indexed = sum(min(indexed, total) for indexed, total in counts)
        trace.total = sum(total for _, total in counts)
        trace.clock.lap("search")

    def _index_first(self, trace: Trace) -> None:
        """Of corpora that are being indexed, what most likely answers is indexed before the rest, and waited for."""
        waited = False
        for name in self.indexes.building(trace.names):
            how = (self.catalogue, trace.query, trace.searched, name, FIRST_AT_MOST)
            likely = self._search.run(retrieval.most_likely, *how)
            lacking = [each for each in likely if each not in trace.indexes.get(name, ())]
            if lacking:
                with trace.encoder.waiting_for_passages():
                    self.indexes.wait_for(name, lacking, FIRST_PATIENCE)
                waited = True
        if waited:
            trace.indexes = self.indexes.searchable(trace.names)
            trace.states = states_of(trace.indexes) + (trace.second.states if trace.second else ())

    def _found(self, indexes: Mapping[str, Index], query: QueryVectors, asked: Asked, subject: Subject | None) -> Found:
        """The passages, of two profiles fused, in the order of the reranker if there is one."""
        # The words of a question about a photo ("Where does this animal live?") do not say what it shows.
        words = asked.question if self.settings.hybrid and asked.photo is None else ""
        how = (self.catalogue, indexes, query, asked.k, words, asked.question)
        search = partial(self._search.run, retrieval.find_asked, *how)
        if asked.second:
            search = asked.second.beside(search, self._search.run, asked.k)
        return self._reranking.found(self._answerers.reranker, asked, subject, search)

    def _read(self, trace: Trace) -> None:
        """What is written in the photo, where that is to be read, and what it makes of the query and of the subject."""
        trace.clock.lap("search")
        looked, which = Looked(trace.query, trace.subject), (trace.shown, trace.part)
        looked = self._texts.added(trace.asks(), looked, trace.encoder, trace.indexes, which, trace.said)
        trace.query, trace.subject, trace.text, trace.unread = vars(looked).values()
        trace.clock.lap("read")

    def _subject(self, indexes: Mapping[str, Index], query: QueryVectors, shown: Hashable) -> Subject | None:
        """What the query's photo shows; `shown` names the photo, its part, the model and what is searched. It depends
        on nothing else, so that it is looked for once, however much is asked."""
        known = self._subjects.get(shown)
        if known is None:
            known = find_subject(self.catalogue, indexes, query)
            if known is not None and not unsearched_of(indexes.values()):
                self._subjects.put(shown, known)
        return known
