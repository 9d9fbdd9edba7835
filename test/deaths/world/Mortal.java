// Ways in which a Java program terminates: an uncaught exception, halt, no memory, a fault in native code, a signal.
//
// SPDX-License-Identifier: Apache-2.0

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import sun.misc.Unsafe;

public final class Mortal {
    private static final long LIFE_LONGEST_MS = 60_000;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "exception" -> throw new IllegalStateException("out of cheese");
            case "halt" -> Runtime.getRuntime().halt(5);
            case "out-of-memory" -> outOfMemory();
            case "crash" -> writeToAddressZero();
            case "wait" -> {
                System.out.println("ready");
                Thread.sleep(LIFE_LONGEST_MS);
            }
            case "wait-for-input" -> {
                System.out.println("ready");
                System.in.read();
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void outOfMemory() {
        List<byte[]> kept = new ArrayList<>();
        while (true) kept.add(new byte[1 << 20]);
    }

    private static void writeToAddressZero() throws ReflectiveOperationException {
        Field field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        ((Unsafe) field.get(null)).putAddress(0, 0);
    }
}
