//! The fields: number, type, and for texts how many bytes are kept.

/// A field whose value is a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u16);
/// A field whose value is seconds or a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub u16);
/// A field whose value is a list of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts(pub u16);
/// A field whose value is a list of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts(pub u16);
/// A field whose value is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// Its number.
    pub id: u16,
    /// How many bytes are kept.
    pub limit: usize,
    /// Whether the last three of them are dots where the text was longer.
    pub has_dots: bool,
}

const fn text(id: u16, limit: usize) -> Text {
    Text { id, limit, has_dots: false }
}

const fn dotted(id: u16, limit: usize) -> Text {
    Text { id, limit, has_dots: true }
}

macro_rules! fields {
    ($($name:ident: $type:ty = $value:expr;)*) => {$(
        #[doc = concat!("Named `", stringify!($name), "`, in lower case.")]
        pub const $name: $type = $value;
    )*};
}

// Who tells it.
fields! {
    MOD_WSGI_VERSION: Text = text(1, 31);
    PYTHON_VERSION: Text = text(2, 63);
    APACHE_VERSION: Text = text(3, 63);
    MPM_NAME: Text = text(4, 31);
    HOSTNAME: Text = text(5, 127);
    PROCESS_GROUP: Text = text(6, 63);
    PROCESS_PARENT_PID: Count = Count(7);
}

// How it is told. 8, the name of an interpreter, is never sent: see docs/differences.md.
fields! {
    SAMPLE_PERIOD: Amount = Amount(10);
    TELEMETRY_INTERVAL: Amount = Amount(11);
    SLOW_REQUESTS_THRESHOLD: Amount = Amount(12);
    SWITCH_INTERVAL: Amount = Amount(13);
}

// What a window of time has cost. The fields of the phases are those of the first phase; the others follow it.
fields! {
    REQUEST_COUNT: Count = Count(20);
    REQUEST_THROUGHPUT: Amount = Amount(21);
    CAPACITY_UTILIZATION: Amount = Amount(22);
    CPU_USER_UTILIZATION: Amount = Amount(30);
    CPU_SYSTEM_UTILIZATION: Amount = Amount(31);
    CPU_UTILIZATION: Amount = Amount(32);
    MEMORY_RSS: Count = Count(40);
    MEMORY_MAX_RSS: Count = Count(41);
    REQUEST_THREADS_MAXIMUM: Count = Count(50);
    REQUEST_THREADS_STARTED: Count = Count(51);
    REQUEST_THREADS_ACTIVE: Count = Count(52);
    PHASE_TIME: Amount = Amount(60);
    PHASE_MIN: Amount = Amount(70);
    PHASE_MAX: Amount = Amount(80);
    PHASE_BUCKETS: Counts = Counts(90);
    INPUT_BYTES_TOTAL: Count = Count(100);
    INPUT_READS_TOTAL: Count = Count(101);
    OUTPUT_BYTES_TOTAL: Count = Count(102);
    OUTPUT_WRITES_TOTAL: Count = Count(103);
    REQUEST_THREADS_COMPLETED: Counts = Counts(110);
    REQUEST_THREADS_BUSY_TIME: Amounts = Amounts(111);
    REQUEST_THREADS_CPU_TIME: Amounts = Amounts(112);
    REQUEST_THREADS_CURRENT_ELAPSED: Amounts = Amounts(113);
    REQUEST_THREADS_MAX_DURATION: Amounts = Amounts(114);
    STATUS_1XX_TOTAL: Count = Count(120);
}

// The end of a process.
fields! {
    SHUTDOWN_REASON: Text = text(130, 63);
    PROCESS_UPTIME: Amount = Amount(131);
    LIFETIME_REQUEST_COUNT: Count = Count(132);
    ACTIVE_REQUESTS_AT_DECISION: Count = Count(133);
    ACTIVE_REQUESTS_AT_EXIT: Count = Count(134);
    GRACEFUL_DRAIN: Count = Count(135);
}

// Slow requests.
fields! {
    SLOW_RECORD_STATE: Count = Count(200);
    SLOW_START_STAMP: Amount = Amount(201);
    SLOW_DURATION: Amount = Amount(202);
    SLOW_THREAD_ID: Count = Count(203);
    SLOW_LOG_ID: Text = dotted(204, 63);
    SLOW_SERVER_PID: Count = Count(205);
    SLOW_METHOD: Text = dotted(210, 15);
    SLOW_SCHEME: Text = dotted(211, 15);
    SLOW_HOSTNAME: Text = dotted(212, 255);
    SLOW_SCRIPT_NAME: Text = dotted(213, 255);
    SLOW_PATH_INFO: Text = dotted(214, 511);
    SLOW_PROTOCOL: Text = dotted(215, 15);
    SLOW_PEER_IP: Text = dotted(216, 45);
    SLOW_USER_AGENT: Text = dotted(217, 511);
    SLOW_SERVER_TIME: Amount = Amount(220);
    SLOW_QUEUE_TIME: Amount = Amount(221);
    SLOW_DAEMON_TIME: Amount = Amount(222);
    SLOW_APPLICATION_TIME: Amount = Amount(223);
    SLOW_GIL_WAIT_TIME: Amount = Amount(224);
    SLOW_GIL_WAIT_COUNT: Count = Count(225);
    SLOW_INPUT_BYTES: Count = Count(230);
    SLOW_INPUT_READS: Count = Count(231);
    SLOW_OUTPUT_BYTES: Count = Count(232);
    SLOW_OUTPUT_WRITES: Count = Count(233);
    SLOW_INPUT_READ_TIME: Amount = Amount(234);
    SLOW_OUTPUT_WRITE_TIME: Amount = Amount(235);
    SLOW_STATUS: Count = Count(240);
    SLOW_CPU_USER_TIME: Amount = Amount(250);
    SLOW_CPU_SYSTEM_TIME: Amount = Amount(251);
    SLOW_ACTIVE_AT_START: Count = Count(260);
    SLOW_ACTIVE_AT_COMPLETION: Count = Count(261);
}

// The garbage collector. Those of generations are those of the first; the other two follow it.
fields! {
    GC_COUNT: Count = Count(300);
    GC_THRESHOLD: Count = Count(303);
    GC_COLLECTIONS: Count = Count(306);
    GC_COLLECTED: Count = Count(309);
    GC_UNCOLLECTABLE: Count = Count(312);
    GC_IS_ENABLED: Count = Count(315);
    GC_FREEZE_COUNT: Count = Count(316);
    GC_DROPPED_EVENTS: Count = Count(317);
    GC_EVENT_START_STAMP: Amount = Amount(320);
    GC_EVENT_DURATION: Amount = Amount(321);
    GC_EVENT_GENERATION: Count = Count(322);
    GC_EVENT_COLLECTED: Count = Count(323);
    GC_EVENT_UNCOLLECTABLE: Count = Count(324);
}

impl Count {
    /// The field so many places behind.
    #[must_use]
    pub const fn behind(self, places: u16) -> Self {
        Self(self.0 + places)
    }
}

impl Amount {
    /// The field so many places behind.
    #[must_use]
    pub const fn behind(self, places: u16) -> Self {
        Self(self.0 + places)
    }
}

impl Counts {
    /// The field so many places behind.
    #[must_use]
    pub const fn behind(self, places: u16) -> Self {
        Self(self.0 + places)
    }
}
