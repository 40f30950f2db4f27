import logging
from collections.abc import Callable
from typing import Any, Protocol, TypedDict, TypeVar, type_check_only

from typing_extensions import disjoint_base

_Callback = TypeVar("_Callback", bound=Callable[..., object])

@type_check_only
class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

@type_check_only
class _RequestMetrics(TypedDict):
    pid: int
    start_time: float
    stop_time: float
    sample_period: float
    cpu_user_utilization: float
    cpu_system_utilization: float
    cpu_utilization: float
    cpu_user_time: float
    cpu_system_time: float
    cpu_time: float
    memory_max_rss: int
    memory_rss: int
    request_threads_maximum: int
    request_threads_started: int
    request_threads_active: int
    capacity_utilization: float
    request_count: int
    request_throughput: float
    status_1xx: int
    status_2xx: int
    status_3xx: int
    status_4xx: int
    status_5xx: int
    input_bytes: int
    input_reads: int
    output_bytes: int
    output_writes: int
    gil_wait_count: int
    request_threads_completed: list[int]
    request_threads_buckets: list[int]
    request_threads_busy_time: list[float]
    request_threads_cpu_time: list[float]
    request_threads_current_elapsed: list[float]
    request_threads_max_duration: list[float]
    server_time: float
    server_time_min_us: int | None
    server_time_max_us: int | None
    server_time_buckets: list[int]
    queue_time: float | None
    queue_time_min_us: int | None
    queue_time_max_us: int | None
    queue_time_buckets: list[int]
    daemon_time: float | None
    daemon_time_min_us: int | None
    daemon_time_max_us: int | None
    daemon_time_buckets: list[int]
    application_time: float
    application_time_min_us: int | None
    application_time_max_us: int | None
    application_time_buckets: list[int]
    request_time: float
    request_time_min_us: int | None
    request_time_max_us: int | None
    request_time_buckets: list[int]
    gil_wait_time: float
    gil_wait_time_min_us: int | None
    gil_wait_time_max_us: int | None
    gil_wait_time_buckets: list[int]
    input_read_time: float
    input_read_time_min_us: int | None
    input_read_time_max_us: int | None
    input_read_time_buckets: list[int]
    output_write_time: float
    output_write_time_min_us: int | None
    output_write_time_max_us: int | None
    output_write_time_buckets: list[int]

@type_check_only
class _Thread(TypedDict):
    thread_id: int
    request_count: int

@type_check_only
class _ProcessMetrics(TypedDict):
    pid: int
    request_busy_time: float
    request_count: int
    memory_max_rss: int
    memory_rss: int
    cpu_user_time: float
    cpu_system_time: float
    cpu_time: float
    restart_time: float
    current_time: float
    running_time: int
    request_threads: int
    active_requests: int
    threads: list[_Thread]

@type_check_only
class _ServerWorker(TypedDict):
    thread_num: int
    generation: int
    status: str
    access_count: int
    bytes_served: int
    start_time: float
    stop_time: float
    last_used: float
    client: str
    request: str
    vhost: str

@type_check_only
class _ServerProcess(TypedDict):
    process_num: int
    pid: int
    generation: int
    quiescing: bool
    workers: list[_ServerWorker]

@type_check_only
class _ServerMetrics(TypedDict):
    server_limit: int
    thread_limit: int
    running_generation: int
    restart_time: float
    current_time: float
    running_time: int
    processes: list[_ServerProcess]

version: tuple[int, int, int]
process_group: str
application_group: str
maximum_processes: int
threads_per_process: int
event_callbacks: list[Callable[..., object]]
shutdown_callbacks: list[Callable[..., object]]
signal_callbacks: list[Callable[..., object]]
active_requests: dict[str, dict[Any, Any]]

def subscribe_events(callback: _Callback, /) -> _Callback: ...
def subscribe_shutdown(callback: _Callback, /) -> _Callback: ...
def subscribe_signals(callback: _Callback, /) -> _Callback: ...
def request_data() -> dict[Any, Any]: ...
def start_recording_metrics() -> None: ...
def request_metrics() -> _RequestMetrics | None: ...
def process_metrics() -> _ProcessMetrics | None: ...
def server_metrics() -> _ServerMetrics | None: ...

@disjoint_base
class FileWrapper:
    def __new__(cls, filelike: _Readable, blksize: int = 8192) -> FileWrapper: ...
    @property
    def filelike(self) -> Any: ...
    @property
    def blksize(self) -> int: ...
    def close(self) -> None: ...
    def __iter__(self) -> FileWrapper: ...
    def __next__(self) -> bytes: ...

class RequestTimeout(BaseException): ...

class LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None: ...
