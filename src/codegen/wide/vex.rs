//! Bytes of the x86-64 instructions that wide functions are made of: AVX2 on 256-bit registers, and the few on
//! addresses that a loop needs.
//!
//! It never knows what is computed.

/// A 64-bit register, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gpr(pub u8);

pub(super) const RAX: Gpr = Gpr(0);
pub(super) const RCX: Gpr = Gpr(1);
pub(super) const RDX: Gpr = Gpr(2);
pub(super) const RBX: Gpr = Gpr(3);
pub(super) const RSP: Gpr = Gpr(4);
pub(super) const RBP: Gpr = Gpr(5);
pub(super) const RSI: Gpr = Gpr(6);
pub(super) const RDI: Gpr = Gpr(7);

/// The last operand of an instruction: a vector register, memory, or a constant of the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    Reg(u8),
    Mem { base: Gpr, index: Option<Gpr>, disp: i32 },
    Pool(Constant),
}

/// Eight lanes that stand behind the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Constant {
    /// The same bits in all of them.
    Splat(u32),
    /// Ones in the first lanes, zeros in the others.
    First(u8),
    /// 0, 1, … 7 as integers.
    Numbers,
}

impl Constant {
    fn lanes(self) -> [u32; 8] {
        std::array::from_fn(|i| match self {
            Constant::Splat(bits) => bits,
            Constant::First(n) if i < usize::from(n) => u32::MAX,
            Constant::First(_) => 0,
            Constant::Numbers => i as u32,
        })
    }
}

/// A vector instruction. Each has up to three register operands and an immediate byte, see [`Code::vector`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Sqrt,
    Round,
    And,
    Or,
    Xor,
    Compare,
    Blend,
    AddInt,
    SubInt,
    GreaterInt,
    /// The shifts name their result where others name their first operand.
    ShiftLeft,
    ShiftRight,
    ShiftRightSigned,
    /// `reg = reg·rm + v`, `reg = v·reg + rm`, `reg = v·rm + reg`.
    Fma132,
    Fma213,
    Fma231,
    Load,
    Store,
    LoadAligned,
    StoreAligned,
    Broadcast,
    LoadMasked,
    StoreMasked,
    Test,
    /// The upper four lanes; the result is `rm`.
    Upper,
    /// Lanes by number, in each half.
    Permute,
    StoreFour,
    StoreTwo,
    StoreOne,
    /// Stores the lane that the immediate names.
    StoreLane,
}

/// How an instruction is written: name, prefix (0 none, 1 66, 2 F3), map (1 0F, 2 0F38, 3 0F3A), opcode, the number
/// that stands in the place of `reg`, whether it works on 256 bits.
struct Row(&'static str, u8, u8, u8, u8, bool);

impl Op {
    fn row(self) -> Row {
        match self {
            Op::Add => Row("vaddps", 0, 1, 0x58, 0, true),
            Op::Sub => Row("vsubps", 0, 1, 0x5C, 0, true),
            Op::Mul => Row("vmulps", 0, 1, 0x59, 0, true),
            Op::Div => Row("vdivps", 0, 1, 0x5E, 0, true),
            Op::Min => Row("vminps", 0, 1, 0x5D, 0, true),
            Op::Max => Row("vmaxps", 0, 1, 0x5F, 0, true),
            Op::Sqrt => Row("vsqrtps", 0, 1, 0x51, 0, true),
            Op::Round => Row("vroundps", 1, 3, 0x08, 0, true),
            Op::And => Row("vandps", 0, 1, 0x54, 0, true),
            Op::Or => Row("vorps", 0, 1, 0x56, 0, true),
            Op::Xor => Row("vxorps", 0, 1, 0x57, 0, true),
            Op::Compare => Row("vcmpps", 0, 1, 0xC2, 0, true),
            Op::Blend => Row("vblendvps", 1, 3, 0x4A, 0, true),
            Op::AddInt => Row("vpaddd", 1, 1, 0xFE, 0, true),
            Op::SubInt => Row("vpsubd", 1, 1, 0xFA, 0, true),
            Op::GreaterInt => Row("vpcmpgtd", 1, 1, 0x66, 0, true),
            Op::ShiftLeft => Row("vpslld", 1, 1, 0x72, 6, true),
            Op::ShiftRight => Row("vpsrld", 1, 1, 0x72, 2, true),
            Op::ShiftRightSigned => Row("vpsrad", 1, 1, 0x72, 4, true),
            Op::Fma132 => Row("vfmadd132ps", 1, 2, 0x98, 0, true),
            Op::Fma213 => Row("vfmadd213ps", 1, 2, 0xA8, 0, true),
            Op::Fma231 => Row("vfmadd231ps", 1, 2, 0xB8, 0, true),
            Op::Load => Row("vmovups", 0, 1, 0x10, 0, true),
            Op::Store => Row("vmovups", 0, 1, 0x11, 0, true),
            Op::LoadAligned => Row("vmovaps", 0, 1, 0x28, 0, true),
            Op::StoreAligned => Row("vmovaps", 0, 1, 0x29, 0, true),
            Op::Broadcast => Row("vbroadcastss", 1, 2, 0x18, 0, true),
            Op::LoadMasked => Row("vmaskmovps", 1, 2, 0x2C, 0, true),
            Op::StoreMasked => Row("vmaskmovps", 1, 2, 0x2E, 0, true),
            Op::Test => Row("vtestps", 1, 2, 0x0E, 0, true),
            Op::Upper => Row("vextractf128", 1, 3, 0x19, 0, true),
            Op::Permute => Row("vpermilps", 1, 3, 0x04, 0, true),
            Op::StoreFour => Row("vmovups", 0, 1, 0x11, 0, false),
            Op::StoreTwo => Row("vmovlps", 0, 1, 0x13, 0, false),
            Op::StoreOne => Row("vmovss", 2, 1, 0x11, 0, false),
            Op::StoreLane => Row("vextractps", 1, 3, 0x17, 0, false),
        }
    }

    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Whether the first two operands may change places.
    pub fn commutes(self) -> bool {
        matches!(self, Op::Add | Op::Mul | Op::And | Op::Or | Op::Xor | Op::AddInt)
    }

    pub fn shifts(self) -> bool {
        matches!(self, Op::ShiftLeft | Op::ShiftRight | Op::ShiftRightSigned)
    }

    /// Whether its result is `rm`, and `reg` what is stored there.
    pub fn stores(self) -> bool {
        use Op::*;
        matches!(
            self,
            Store | StoreAligned | StoreMasked | StoreFour | StoreTwo | StoreOne | StoreLane | Upper
        )
    }

    /// Whether `reg` is its result and nothing else.
    pub fn writes_reg(self) -> bool {
        let fma = matches!(self, Op::Fma132 | Op::Fma213 | Op::Fma231);
        !(fma || self.shifts() || self.stores() || self == Op::Test)
    }

    /// Whether it reads `v`.
    pub fn reads_v(self) -> bool {
        use Op::*;
        let moves = matches!(self, Load | LoadAligned | Broadcast | Sqrt | Round | Permute | Test);
        !(moves || self.shifts() || self.stores()) || self == StoreMasked
    }
}

/// A place in the code that jumps name before it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(usize);

/// Instructions on two 64-bit operands, by their opcode with the register first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Int {
    Add = 0x03,
    Compare = 0x3B,
    Move = 0x8B,
}

/// The same with a number, by the digit in the place of the register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IntImm {
    Add = 0,
    And = 4,
    Sub = 5,
    Compare = 7,
}

/// When a jump is taken, by the low half of its opcode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Below = 2,
    Equal = 4,
    NotEqual = 5,
    LessOrEqual = 14,
}

/// Code in the making.
#[derive(Default)]
pub(super) struct Code {
    bytes: Vec<u8>,
    labels: Vec<usize>,
    /// Where four bytes are to be filled in, by how much before the end of its instruction, and with what.
    jumps: Vec<(usize, Label)>,
    reads: Vec<(usize, usize, Constant)>,
}

impl Code {
    pub fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    /// The label stands here.
    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = self.bytes.len();
    }

    /// Begins the next instruction at a multiple of 32 bytes, where a loop is fetched fastest.
    pub fn align(&mut self) {
        const LONG: [&[u8]; 3] = [&[0x90], &[0x0F, 0x1F, 0], &[0x0F, 0x1F, 0x80, 0, 0, 0, 0]];
        while !self.bytes.len().is_multiple_of(32) {
            let room = 32 - self.bytes.len() % 32;
            let nop = LONG.iter().rev().find(|n| n.len() <= room).unwrap_or(&LONG[0]);
            self.bytes.extend_from_slice(nop);
        }
    }

    /// A vector instruction: `reg` is its result or what it stores, `v` the first operand, `rm` the second.
    pub fn vector(&mut self, op: Op, reg: u8, v: u8, rm: Rm, imm: Option<u8>) {
        let Row(_, prefix, map, opcode, digit, wide) = op.row();
        let reg = if digit == 0 { reg } else { digit };
        let (x, b) = high_bits(rm);
        let last = (!v & 15) << 3 | u8::from(wide) << 2 | prefix;
        if map == 1 && !x && !b {
            self.bytes.extend([0xC5, u8::from(reg < 8) << 7 | last]);
        } else {
            let first = u8::from(reg < 8) << 7 | u8::from(!x) << 6 | u8::from(!b) << 5 | map;
            self.bytes.extend([0xC4, first, last]);
        }
        self.bytes.push(opcode);
        self.operands(reg, rm, imm);
    }

    /// The bytes that name `reg` and `rm`, and the immediate.
    fn operands(&mut self, reg: u8, rm: Rm, imm: Option<u8>) {
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Reg(r) => self.bytes.push(0xC0 | reg | (r & 7)),
            Rm::Pool(constant) => {
                self.bytes.push(reg | 5);
                self.reads.push((self.bytes.len(), 4 + usize::from(imm.is_some()), constant));
                self.bytes.extend([0; 4]);
            }
            Rm::Mem { base, index, disp } => {
                let base = base.0 & 7;
                // Without a displacement the number 5 would mean another form; 4 means that an index follows.
                let size = match disp {
                    0 if base != 5 => 0,
                    -128..=127 => 0x40,
                    _ => 0x80,
                };
                match index {
                    Some(index) => self.bytes.extend([size | reg | 4, (index.0 & 7) << 3 | base]),
                    None if base == 4 => self.bytes.extend([size | reg | 4, 0x24]),
                    None => self.bytes.push(size | reg | base),
                }
                match size {
                    0 => {}
                    0x40 => self.bytes.push(disp as u8),
                    _ => self.bytes.extend(disp.to_le_bytes()),
                }
            }
        }
        self.bytes.extend(imm);
    }

    /// `reg = reg op rm` on 64 bits.
    pub fn int(&mut self, op: Int, reg: Gpr, rm: Rm) {
        let (x, b) = high_bits(rm);
        self.bytes.push(0x48 | u8::from(reg.0 > 7) << 2 | u8::from(x) << 1 | u8::from(b));
        self.bytes.push(op as u8);
        self.operands(reg.0, rm, None);
    }

    /// `reg = reg op n` on 64 bits.
    pub fn int_imm(&mut self, op: IntImm, reg: Gpr, n: i32) {
        self.bytes.extend([0x48 | u8::from(reg.0 > 7), if i8::try_from(n).is_ok() { 0x83 } else { 0x81 }]);
        self.bytes.push(0xC0 | (op as u8) << 3 | (reg.0 & 7));
        match i8::try_from(n) {
            Ok(n) => self.bytes.push(n as u8),
            Err(_) => self.bytes.extend(n.to_le_bytes()),
        }
    }

    /// `reg = n`
    pub fn set(&mut self, reg: Gpr, n: i32) {
        self.bytes.extend([0x48 | u8::from(reg.0 > 7), 0xC7, 0xC0 | (reg.0 & 7)]);
        self.bytes.extend(n.to_le_bytes());
    }

    pub fn push(&mut self, reg: Gpr) {
        if reg.0 > 7 {
            self.bytes.push(0x41);
        }
        self.bytes.push(0x50 | (reg.0 & 7));
    }

    pub fn pop(&mut self, reg: Gpr) {
        if reg.0 > 7 {
            self.bytes.push(0x41);
        }
        self.bytes.push(0x58 | (reg.0 & 7));
    }

    pub fn jump(&mut self, to: Label) {
        self.bytes.push(0xE9);
        self.target(to);
    }

    pub fn jump_if(&mut self, when: When, to: Label) {
        self.bytes.extend([0x0F, 0x80 | when as u8]);
        self.target(to);
    }

    fn target(&mut self, to: Label) {
        self.jumps.push((self.bytes.len(), to));
        self.bytes.extend([0; 4]);
    }

    /// Leaves the function; other code may then use narrow registers without a penalty.
    pub fn leave(&mut self) {
        self.bytes.extend([0xC5, 0xF8, 0x77, 0xC3]);
    }

    /// The code with its constants behind it. It must be placed at a multiple of [`ALIGNMENT`].
    pub fn finish(mut self) -> Vec<u8> {
        for (at, label) in &self.jumps {
            let by = self.labels[label.0] as i32 - (*at as i32 + 4);
            self.bytes[*at..at + 4].copy_from_slice(&by.to_le_bytes());
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0xCC);
        let start = self.bytes.len();
        let mut pool: Vec<Constant> = vec![];
        for (at, before_end, constant) in &self.reads {
            let number = pool.iter().position(|c| c == constant).unwrap_or_else(|| {
                pool.push(*constant);
                pool.len() - 1
            });
            let by = (start + number * 32) as i32 - (at + before_end) as i32;
            self.bytes[*at..at + 4].copy_from_slice(&by.to_le_bytes());
        }
        for lane in pool.iter().flat_map(|c| c.lanes()) {
            self.bytes.extend(lane.to_le_bytes());
        }
        self.bytes
    }
}

/// Bytes at a multiple of which a function starts.
pub(super) const ALIGNMENT: usize = 32;

/// Whether index and base are registers from 8 on.
fn high_bits(rm: Rm) -> (bool, bool) {
    match rm {
        Rm::Reg(r) => (false, r > 7),
        Rm::Mem { base, index, .. } => (index.is_some_and(|i| i.0 > 7), base.0 > 7),
        Rm::Pool(_) => (false, false),
    }
}
