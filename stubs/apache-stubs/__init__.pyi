build_date: str
description: str
maximum_processes: int
mpm_name: str
threads_per_process: int
version: tuple[int, int, int]
