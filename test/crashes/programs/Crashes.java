// A Java program that writes to address 0, in the virtual machine's own code or in a compiled method.
//
// SPDX-License-Identifier: Apache-2.0

import java.lang.reflect.Field;
import sun.misc.Unsafe;

public final class Crashes {
    public static void main(String[] args) throws ReflectiveOperationException {
        Field field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        ((Unsafe) field.get(null)).putAddress(0, 0);
    }
}
