// What must lie at a known address, or can't be said in C.
#include "../protocol.h"

    .section .first, "ax"
// From a stub, which has left the red zone alone. As after a system call, all registers are as before but rcx, r11
// and rax; rax is the result if r11 is not 0, and unchanged if the call is still to be made.
entry:
    push    %rax
    push    %rdi
    push    %rsi
    push    %rdx
    push    %r10
    push    %r8
    push    %r9
    push    %rbp
    push    %rbx
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, %rdi          // struct inside_frame
    mov     %rsp, %rbp
    and     $-16, %rsp
    cld
    call    inside_handle
    mov     %rax, %r11
    mov     %rbp, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbx
    pop     %rbp
    pop     %r9
    pop     %r8
    pop     %r10
    pop     %rdx
    pop     %rsi
    pop     %rdi
    pop     %rax
    ret

    .org    0xe0, 0x90
// long inside_call(long number, const __u64 arguments[6])
    .globl  inside_call
inside_call:
    mov     %rdi, %rax
    mov     %rsi, %rcx
    mov     (%rcx), %rdi
    mov     8(%rcx), %rsi
    mov     16(%rcx), %rdx
    mov     24(%rcx), %r10
    mov     32(%rcx), %r8
    mov     40(%rcx), %r9
    .org    INSIDE_CALLED - INSIDE_BASE - 2, 0x90
    syscall
    ret

    .org    0x170, 0x90
// How many of the bytes could not be read: __u64 inside_copy(void* to, const void* from, __u64 count)
    .globl  inside_copy
inside_copy:
    mov     %rdx, %rcx
    .org    INSIDE_COPY - INSIDE_BASE, 0x90
    rep movsb
    mov     %rcx, %rax
    ret
    .section .note.GNU-stack, "", @progbits
