//! The bytes of single instructions, as GNU as writes them.

use super::vex::{Code, Constant, Gpr, Int, IntImm, Op, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, Rm, When};

fn bytes(write: impl FnOnce(&mut Code)) -> Vec<u8> {
    let mut code = Code::default();
    write(&mut code);
    let all = code.finish();
    let end = all.iter().rposition(|b| *b != 0xCC).map_or(0, |i| i + 1);
    all[..end].to_vec()
}

const fn at(base: Gpr, disp: i32) -> Rm {
    Rm::Mem { base, index: None, disp }
}

const fn indexed(base: Gpr, disp: i32) -> Rm {
    Rm::Mem { base, index: Some(RAX), disp }
}

/// An instruction's parts, and its bytes.
type Case = (Op, u8, u8, Rm, Option<u8>, &'static [u8]);

#[test]
fn vector_instructions() {
    let cases: [Case; 37] = [
        (Op::Add, 0, 1, Rm::Reg(2), None, &[0xc5, 0xf4, 0x58, 0xc2]),
        (Op::Add, 8, 9, Rm::Reg(2), None, &[0xc5, 0x34, 0x58, 0xc2]),
        (Op::Sub, 0, 1, Rm::Reg(10), None, &[0xc4, 0xc1, 0x74, 0x5c, 0xc2]),
        (Op::Mul, 4, 3, at(RAX, 0), None, &[0xc5, 0xe4, 0x59, 0x20]),
        (Op::Div, 4, 3, indexed(RDX, 8), None, &[0xc5, 0xe4, 0x5e, 0x64, 0x02, 0x08]),
        (
            Op::Min,
            4,
            15,
            at(Gpr(12), 0x1000),
            None,
            &[0xc4, 0xc1, 0x04, 0x5d, 0xa4, 0x24, 0x00, 0x10, 0x00, 0x00],
        ),
        (Op::Max, 4, 15, at(RBP, 0), None, &[0xc5, 0x84, 0x5f, 0x65, 0x00]),
        (Op::Sqrt, 4, 0, at(Gpr(13), 0), None, &[0xc4, 0xc1, 0x7c, 0x51, 0x65, 0x00]),
        (Op::Round, 4, 0, Rm::Reg(9), Some(9), &[0xc4, 0xc3, 0x7d, 0x08, 0xe1, 0x09]),
        (Op::And, 2, 1, at(RSP, 0), None, &[0xc5, 0xf4, 0x54, 0x14, 0x24]),
        (Op::Or, 2, 1, at(RSP, 0x60), None, &[0xc5, 0xf4, 0x56, 0x54, 0x24, 0x60]),
        (Op::Xor, 12, 11, indexed(Gpr(13), -128), None, &[0xc4, 0x41, 0x24, 0x57, 0x64, 0x05, 0x80]),
        (Op::Compare, 12, 11, at(Gpr(15), 0), Some(0x1e), &[0xc4, 0x41, 0x24, 0xc2, 0x27, 0x1e]),
        (Op::Blend, 1, 2, Rm::Reg(3), Some(13 << 4), &[0xc4, 0xe3, 0x6d, 0x4a, 0xcb, 0xd0]),
        (Op::AddInt, 1, 2, Rm::Reg(3), None, &[0xc5, 0xed, 0xfe, 0xcb]),
        (Op::SubInt, 1, 2, Rm::Reg(3), None, &[0xc5, 0xed, 0xfa, 0xcb]),
        (Op::GreaterInt, 1, 2, Rm::Reg(3), None, &[0xc5, 0xed, 0x66, 0xcb]),
        (Op::ShiftLeft, 0, 1, Rm::Reg(9), Some(23), &[0xc4, 0xc1, 0x75, 0x72, 0xf1, 0x17]),
        (Op::ShiftRight, 0, 10, Rm::Reg(2), Some(1), &[0xc5, 0xad, 0x72, 0xd2, 0x01]),
        (Op::ShiftRightSigned, 0, 3, Rm::Reg(2), Some(1), &[0xc5, 0xe5, 0x72, 0xe2, 0x01]),
        (Op::Fma132, 1, 2, Rm::Reg(3), None, &[0xc4, 0xe2, 0x6d, 0x98, 0xcb]),
        (Op::Fma213, 9, 2, indexed(Gpr(8), 32), None, &[0xc4, 0x42, 0x6d, 0xa8, 0x4c, 0x00, 0x20]),
        (Op::Fma231, 11, 12, Rm::Reg(13), None, &[0xc4, 0x42, 0x1d, 0xb8, 0xdd]),
        (Op::Load, 5, 0, indexed(RSI, 0), None, &[0xc5, 0xfc, 0x10, 0x2c, 0x06]),
        (Op::Store, 13, 0, indexed(RSI, 32), None, &[0xc5, 0x7c, 0x11, 0x6c, 0x06, 0x20]),
        (Op::LoadAligned, 13, 0, at(RSP, 32), None, &[0xc5, 0x7c, 0x28, 0x6c, 0x24, 0x20]),
        (
            Op::StoreAligned,
            5,
            0,
            at(RSP, 0x1000),
            None,
            &[0xc5, 0xfc, 0x29, 0xac, 0x24, 0x00, 0x10, 0x00, 0x00],
        ),
        (Op::Broadcast, 9, 0, at(RDI, 0x50), None, &[0xc4, 0x62, 0x7d, 0x18, 0x4f, 0x50]),
        (Op::LoadMasked, 2, 1, indexed(Gpr(9), 0), None, &[0xc4, 0xc2, 0x75, 0x2c, 0x14, 0x01]),
        (Op::StoreMasked, 2, 1, at(Gpr(9), 0), None, &[0xc4, 0xc2, 0x75, 0x2e, 0x11]),
        (Op::Test, 9, 0, Rm::Reg(9), None, &[0xc4, 0x42, 0x7d, 0x0e, 0xc9]),
        (Op::Upper, 9, 0, Rm::Reg(1), Some(1), &[0xc4, 0x63, 0x7d, 0x19, 0xc9, 0x01]),
        (Op::Permute, 3, 0, Rm::Reg(9), Some(14), &[0xc4, 0xc3, 0x7d, 0x04, 0xd9, 0x0e]),
        (Op::StoreFour, 9, 0, at(Gpr(10), 0), None, &[0xc4, 0x41, 0x78, 0x11, 0x0a]),
        (Op::StoreTwo, 2, 0, at(Gpr(10), 16), None, &[0xc4, 0xc1, 0x78, 0x13, 0x52, 0x10]),
        (Op::StoreOne, 2, 0, at(RBX, 24), None, &[0xc5, 0xfa, 0x11, 0x53, 0x18]),
        (Op::StoreLane, 2, 0, at(Gpr(14), 24), Some(2), &[0xc4, 0xc3, 0x79, 0x17, 0x56, 0x18, 0x02]),
    ];
    for (op, reg, v, rm, imm, expected) in cases {
        let got = bytes(|c| c.vector(op, reg, v, rm, imm));
        assert_eq!(got, expected, "{op:?} {reg} {v} {rm:?} {imm:?}: {got:02x?}");
    }
}

#[test]
fn instructions_on_addresses() {
    let got = bytes(|c| {
        c.int(Int::Move, Gpr(14), at(RDI, 0x10));
        c.int(Int::Move, RBP, Rm::Reg(RSP.0));
        c.int(Int::Add, Gpr(9), at(RDI, 0x88));
        c.int(Int::Compare, RAX, at(RDI, 0x88));
        c.int_imm(IntImm::Add, RAX, 32);
        c.int_imm(IntImm::And, RSP, -32);
        c.int_imm(IntImm::Sub, RSP, 0x1000);
        c.int_imm(IntImm::Compare, Gpr(10), 0x12345);
        c.set(RCX, 7);
        c.push(Gpr(12));
        c.push(RBP);
        c.pop(Gpr(15));
        c.pop(RBX);
        c.leave();
    });
    let expected = [
        0x4c, 0x8b, 0x77, 0x10, // mov 0x10(%rdi), %r14
        0x48, 0x8b, 0xec, // mov %rsp, %rbp, in the form that reads memory
        0x4c, 0x03, 0x8f, 0x88, 0x00, 0x00, 0x00, // add 0x88(%rdi), %r9
        0x48, 0x3b, 0x87, 0x88, 0x00, 0x00, 0x00, // cmp 0x88(%rdi), %rax
        0x48, 0x83, 0xc0, 0x20, // add $32, %rax
        0x48, 0x83, 0xe4, 0xe0, // and $-32, %rsp
        0x48, 0x81, 0xec, 0x00, 0x10, 0x00, 0x00, // sub $0x1000, %rsp
        0x49, 0x81, 0xfa, 0x45, 0x23, 0x01, 0x00, // cmp $0x12345, %r10
        0x48, 0xc7, 0xc1, 0x07, 0x00, 0x00, 0x00, // mov $7, %rcx
        0x41, 0x54, 0x55, 0x41, 0x5f, 0x5b, // push %r12, push %rbp, pop %r15, pop %rbx
        0xc5, 0xf8, 0x77, 0xc3, // vzeroupper, ret
    ];
    assert_eq!(got, expected, "{got:02x?}");
}

/// Displacements count from the end of an instruction, with its immediate.
#[test]
fn jumps_and_constants() {
    let got = bytes(|c| {
        let (back, on) = (c.label(), c.label());
        c.place(back);
        c.jump_if(When::NotEqual, on);
        c.jump(back);
        c.place(on);
        c.vector(Op::Compare, 1, 2, Rm::Pool(Constant::Splat(0x3F80_0000)), Some(0x11));
        c.vector(Op::And, 1, 1, Rm::Pool(Constant::First(3)), None);
        c.vector(Op::Add, 1, 1, Rm::Pool(Constant::Splat(0x3F80_0000)), None);
    });
    let mut expected = vec![
        0x0f, 0x85, 0x05, 0x00, 0x00, 0x00, // jne over the next
        0xe9, 0xf5, 0xff, 0xff, 0xff, // jmp to the start
        0xc5, 0xec, 0xc2, 0x0d, 0x2c, 0x00, 0x00, 0x00, 0x11, // vcmplt_oqps 0x2c(%rip), %ymm2, %ymm1
        0xc5, 0xf4, 0x54, 0x0d, 0x44, 0x00, 0x00, 0x00, // vandps 0x44(%rip), %ymm1, %ymm1
        0xc5, 0xf4, 0x58, 0x0d, 0x1c, 0x00, 0x00, 0x00, // vaddps 0x1c(%rip), %ymm1, %ymm1
    ];
    expected.resize(64, 0xcc);
    expected.extend([0, 0, 0x80, 0x3f].repeat(8));
    expected.extend([[0xff; 4]; 3].concat());
    expected.extend([0; 20]);
    assert_eq!(got, expected, "{got:02x?}");
}
