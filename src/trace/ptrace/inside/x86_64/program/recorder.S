// What must lie at a known address, or can't be said in C.
#include "../../protocol.h"

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

    .org    0xc0, 0x90
// The program's own: long inside_make(const struct inside_frame*)
    .globl  inside_make
inside_make:
    mov     %rdi, %rcx
    mov     96(%rcx), %rax
    mov     88(%rcx), %rdi
    mov     80(%rcx), %rsi
    mov     72(%rcx), %rdx
    mov     64(%rcx), %r10
    mov     56(%rcx), %r8
    mov     48(%rcx), %r9
    jmp     made
// The recorder's: long inside_call(long number, five arguments)
    .globl  inside_call
inside_call:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    .org    INSIDE_CALLED - INSIDE_BASE - 2, 0x90
made:
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
