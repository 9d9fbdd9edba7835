// SPDX-License-Identifier: Apache-2.0
// Functions that report a crash and are not its place: from abort(3) up to what a program called. They are left out of the fingerprint and
// of the sentence, since every crash of a language goes through them. Only data.

/** C libraries; `__GI_` is glibc's name of a function inside of it. */
const C_LIBRARIES = [
  '(?:__GI_)?(?:abort|raise|gsignal|kill|tgkill|tkill|__assert(?:_fail|_fail_base|_perror_fail)?|__libc_message(?:_impl)?|__libc_fatal)',
  '__pthread_kill(?:_implementation|_internal)?|pthread_kill|__restore_sigs|a_crash',
  'malloc_printerr|_int_free\\w*|_int_malloc|_int_realloc|malloc_consolidate|unlink_chunk|munmap_chunk|tcache_\\w+|sysmalloc',
  '(?:__libc_|__GI___libc_)?(?:free|realloc|malloc|calloc)|cfree|get_meta|nontrivial_free',
  '__\\w+_chk|__(?:GI___)?(?:fortify_fail|fortify_fail_abort|chk_fail|stack_chk_fail|stack_chk_fail_local|fdelt_chk|fdelt_warn)',
];

const CPP = [
  'std::(?:terminate|__terminate|unexpected|get_terminate|__throw_\\w+)(?:\\(.*)?',
  '__cxxabiv1::.*|__gnu_cxx::__verbose_terminate_handler.*|__cxa_(?:throw|rethrow|pure_virtual|deleted_virtual|call_terminate|bad_\\w+)',
  '_Unwind_(?:RaiseException|Resume|Resume_or_Rethrow|ForcedUnwind)|__gxx_personality_v0|__clang_call_terminate|demangling_terminate_handler.*|abort_message',
];

const RUST = [
  '(?:std|core)::panicking::.*|(?:__rustc::)?(?:rust_panic\\w*|rust_begin_unwind|__rust_(?:start_panic|foreign_exception|abort).*)|panic_(?:abort|unwind)::.*',
  'std::sys::.*stack_overflow::.*|std::(?:process::abort|sys::.*abort_internal|sys(?:_common)?::backtrace::_*rust_end_short_backtrace).*',
  'core::(?:option|result)::(?:unwrap_failed|expect_failed).*|core::slice::index::slice_\\w+_fail.*|core::cell::panic_\\w+.*',
  // Without optimization, what panics on behalf of its caller (#[track_caller]) has frames.
  'core::(?:option::Option|result::Result)<.*>::(?:unwrap|expect)\\w*|<(?:usize|(?:core|alloc|std)::.*) as core::(?:slice::index::SliceIndex|ops::index::Index(?:Mut)?)<.*>>::index(?:_mut)?|core::slice::index::<impl .*>::index(?:_mut)?',
  '(?:__rustc::)?__rust_alloc_error_handler|alloc::raw_vec::.*|alloc::vec::Vec<.*>::(?:with_capacity|reserve|push|resize|extend)\\w*',
  'std::alloc::rust_oom.*|alloc::alloc::handle_alloc_error.*|__rdl_oom|__rg_oom|core::intrinsics::abort.*|<T as core::any::Any>::type_id.*',
];

const GO = [
  'runtime\\.(?:raise\\w*|tgkill|crash|abort|dieFromSignal|fatal\\w*|throw|gopanic|sigpanic|panic\\w*|goPanic\\w+|sighandler|sigfwdgo|sigtramp\\w*|cgoSigtramp|newstack|morestack\\w*|checkdead|systemstack\\w*|printpanics\\w*|dopanic\\w*)(?:\\.func\\d+.*|\\.abi\\w+)?',
];

const RUNTIMES = [
  '__(?:asan|hwasan|msan|tsan|ubsan|lsan|sanitizer|interceptor)\\w*(?:::.*)?|__interceptor_.*',
  'v8::(?:internal::)?(?:V8::FatalProcessOutOfMemory|Utils::ReportOOMFailure|Heap::FatalProcessOutOfMemory|FatalProcessOutOfMemory).*|V8_Fatal.*|v8::base::OS::Abort.*|v8::base::FatalOOM.*',
  'node::(?:\\(anonymous namespace\\)::DefaultAbortHandler|Abort|Assert|OnFatalError|OOMErrorHandler|DumpNativeBacktrace)(?:\\(.*)?',
  'VMError::.*|os::(?:abort|die)\\b.*|JVM_handle_linux_signal|javaSignalHandler|PosixSignals::.*|report_(?:vm_error|vm_out_of_memory|java_out_of_memory|fatal|should_not_\\w+)\\b.*',
  'os_abort|_?Py_FatalError\\w*|faulthandler_fatal_error',
  'g_(?:log\\w*|assertion_message\\w*|abort)|google::LogMessage(?:Fatal)?::.*|absl(?:::\\w+)?::log_internal::LogMessage(?:Fatal)?::.*|QMessageLogger::fatal.*|rb_bug\\w*',
];

export const REPORTING = new RegExp(`^(?:${[...C_LIBRARIES, ...CPP, ...RUST, ...GO, ...RUNTIMES].join('|')})$`, 's');

/** Names that any program may use: they report only in front of a function that does (CPython, HotSpot, Go). */
export const BETWEEN = /^(?:fatal_error(?:_exit)?|crash_handler|signalHandler.*|<signal handler called>)$/;

/** The loader's name of the frame between a signal handler and what it interrupted. */
export const SIGNAL_HANDLER_CALLED = '<signal handler called>';

/** Libraries of C and C++, whose functions without a name are their own. */
export const LIBRARY = /^(?:libc|libstdc\+\+|libc\+\+|libc\+\+abi|libgcc_s|libpthread|ld-musl-\w+)(?:[.-][\w.-]*)?$/;

/** A handler of the program may lie between one of these and abort(3): the process was terminating already. */
export const HANDLED =
  /^(?:std::terminate|__cxxabiv1::__terminate|std::panicking::|core::panicking::|(?:__rustc::)?rust_(?:panic|begin_unwind)|_?Py_FatalError|v8::.*FatalProcessOutOfMemory|v8::Utils::ReportOOMFailure|__asan::ScopedInErrorReport|__sanitizer::Die)/;

/** Functions of musl that crash on purpose: by hlt, or by a write to address 0 where there is none. */
export const CRASHES_ON_PURPOSE = /^(?:__stack_chk_fail(?:_local)?|a_crash|get_meta|nontrivial_free)$/;
