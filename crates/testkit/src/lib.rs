//! Fixtures, generators and the `Decider` trait: what the tests share.
