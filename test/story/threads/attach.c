// SPDX-License-Identifier: Apache-2.0
// A publisher of thread contexts, as OpenTelemetry's OTEP 4947 has it ("Thread-Local Variable"): built into the program, or as a library.

#ifdef LARGE
// More than what the dynamic linker keeps for libraries that come late, so that this one's variables are allocated for each thread when
// it first touches them; and of an alignment that moves those of a program.
_Alignas(128) __thread char before[(1 << 16) + 1] = {1};
#endif
#ifdef PROTECTED
__attribute__((visibility("protected")))
#endif
__thread void *otel_thread_ctx_v1;

void attach(void *context)
{
#ifdef LARGE
	before[sizeof(before) - 1] = 1;
#endif
	otel_thread_ctx_v1 = context;
}
