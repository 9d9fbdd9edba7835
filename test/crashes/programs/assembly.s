# SPDX-License-Identifier: Apache-2.0
# Functions of x86-64 without call frame information, as people write them by hand: no frame pointer, and pushes on some ways only.
	.text
	.globl calls_by_hand
	.type calls_by_hand, @function
calls_by_hand:
	sub $24, %rsp
	push %rbx
	mov %rdi, %rbx
	call written_by_hand
	pop %rbx
	add $24, %rsp
	ret
	.size calls_by_hand, .-calls_by_hand
	.type written_by_hand, @function
written_by_hand:
	push %r12
	test %rdi, %rdi
	je 1f
	push %r13
	movl $1, 0
	pop %r13
1:	pop %r12
	ret
	.size written_by_hand, .-written_by_hand
	.section .note.GNU-stack,"",@progbits
